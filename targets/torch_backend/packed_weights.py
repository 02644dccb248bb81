"""Weights of convolutions in oneDNN's own layout, also where sizes are open.

Inductor packs weights in advance where all sizes of a convolution's input are fixed. With an open
batch it leaves them as they are, and oneDNN reorders them at each run; but the layout that it wants
hardly depends on the batch, and it reorders what was packed for another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch._inductor.fx_passes.freezing_patterns import register_freezing_graph_pattern
from torch._inductor.pattern_matcher import Arg, CallFunction, Match
from torch.fx.experimental.symbolic_shapes import has_free_symbols, optimization_hint

_CONVOLUTION = torch.ops.mkldnn._convolution_pointwise.default
_PACK = torch.ops.mkldnn._reorder_convolution_weight.default
_ARGUMENTS = 10
_BEHIND_INDUCTORS = 1
"""The round of patterns after the one in which Inductor makes oneDNN's convolutions."""


def register() -> None:
    """Let Inductor, in this process, pack the weights that it would leave to each run."""
    pattern = CallFunction(_CONVOLUTION, *[Arg() for _ in range(_ARGUMENTS)])
    registered = register_freezing_graph_pattern(  # type: ignore[no-untyped-call]
        pattern, extra_check=_leaves_weights_unpacked, pass_number=_BEHIND_INDUCTORS
    )
    registered(_pack)


def _pack(match: Match, *_: Any) -> None:
    node: Any = match.output_node()
    image, weight, _bias, *window = node.args[:7]
    sizes = _usual_sizes(image.meta["val"].shape)
    with match.graph.inserting_before(node):
        packed = match.graph.call_function(_PACK, (weight, *window, sizes))
    node.replace_input_with(weight, packed)


def _leaves_weights_unpacked(match: Match) -> bool:
    node: Any = match.output_node()
    image, weight = node.args[:2]
    sizes = image.meta["val"].shape
    is_open = weight.op == "get_attr" and has_free_symbols(sizes)
    return bool(is_open and _has_channels_last(sizes, node.meta["val"].shape))


def _has_channels_last(sizes: Sequence[Any], results: Sequence[Any]) -> bool:
    """Whether Inductor expects what oneDNN puts out for packed weights: channels last.

    Where sizes are open it expects them first for an image that lies both ways, which is one with a
    single channel, or a single pixel.
    """
    return sizes[1] != 1 and (not _is_one_pixel(sizes) or _is_one_pixel(results))


def _is_one_pixel(sizes: Sequence[Any]) -> bool:
    # Open sizes are never 1: torch asks for two programs there. Comparing them would fix them.
    return all(isinstance(size, int) and size == 1 for size in sizes[2:])


def _usual_sizes(shape: Sequence[int | torch.SymInt]) -> list[int]:
    """One image, as large as the sample is."""
    return [
        1 if axis == 0 and not isinstance(size, int) else int(optimization_hint(size))
        for axis, size in enumerate(shape)
    ]
