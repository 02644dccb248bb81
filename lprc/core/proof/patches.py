"""Where the windows of convolutions and pools lie: an index map, as all movement is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.proof.terms import ZERO, Ids, NotProvedError

MOST_ELEMENTS = 1 << 22
"""Of all windows of one operator together."""


@dataclass(frozen=True)
class Geometry:
    """How windows lie; one number for each spatial axis.

    Attributes:
        kernel: Their sizes.
        strides: Between two of them.
        dilations: Between two elements of one.
        front: Padding in front.
        behind: Padding behind.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    front: tuple[int, ...]
    behind: tuple[int, ...]


def geometry(node: ir.Node, sizes: Sequence[int], kernel: Sequence[int]) -> Geometry:
    """The windows of a Conv or pool over space of `sizes`.

    Raises:
        NotProvedError: The sizes of the output are rounded up.
    """
    if editing.attribute(node, "ceil_mode", 0):
        raise NotProvedError(f"{node.op_type} with ceil_mode is not interpreted")
    rank = len(kernel)
    strides = tuple(editing.attribute(node, "strides") or [1] * rank)
    dilations = tuple(editing.attribute(node, "dilations") or [1] * rank)
    auto_pad = editing.attribute(node, "auto_pad", "NOTSET")
    pads = list(editing.attribute(node, "pads") or [0] * 2 * rank)
    if auto_pad == "VALID":
        pads = [0] * 2 * rank
    elif auto_pad != "NOTSET":
        pads = _same(auto_pad == "SAME_UPPER", sizes, kernel, strides, dilations)
    return Geometry(tuple(kernel), strides, dilations, tuple(pads[:rank]), tuple(pads[rank:]))


def _same(
    upper: bool,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[int]:
    totals = [
        max((math.ceil(size / stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        for size, width, stride, dilation in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return [*less, *more] if upper else [*more, *less]


def patches(ids: Ids, windows: Geometry, fill: int = ZERO) -> Ids:
    """The elements in each window.

    Args:
        ids: [N, C, space].
        windows: How they lie.
        fill: What padding is.

    Returns:
        [N, C, output space, window].

    Raises:
        NotProvedError: They are too many, or a window does not fit.
    """
    width = [(front, behind) for front, behind in zip(windows.front, windows.behind, strict=True)]
    if min((pad for pair in width for pad in pair), default=0) < 0:
        raise NotProvedError("negative padding is not interpreted")
    padded = np.pad(ids, [(0, 0), (0, 0), *width], constant_values=fill)
    spans = [
        (size - 1) * dilation + 1
        for size, dilation in zip(windows.kernel, windows.dilations, strict=True)
    ]
    rank = len(spans)
    if any(span > size for span, size in zip(spans, padded.shape[2:], strict=True)):
        raise NotProvedError("a window does not fit")
    view = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=tuple(range(2, 2 + rank)))
    places = [slice(None, None, stride) for stride in windows.strides]
    inner = [slice(None, None, dilation) for dilation in windows.dilations]
    index = (slice(None), slice(None), *places, *inner)
    taken = view[index]
    require_small(taken.size)
    flat: Ids = taken.reshape(*taken.shape[: 2 + rank], -1)
    return flat


def require_small(count: int) -> None:
    """Refuse to spread out too many elements.

    Raises:
        NotProvedError: They are.
    """
    if count > MOST_ELEMENTS:
        raise NotProvedError(f"windows of {count:,} elements are over the limit, {MOST_ELEMENTS:,}")


def stuffed(ids: Ids, strides: Sequence[int]) -> Ids:
    """`ids` [N, C, space] with zeros between, as a ConvTranspose sees its input."""
    sizes = [(size - 1) * stride + 1 for size, stride in zip(ids.shape[2:], strides, strict=True)]
    spread = np.full((*ids.shape[:2], *sizes), ZERO, np.int64)
    index = (slice(None), slice(None), *(slice(None, None, stride) for stride in strides))
    spread[index] = ids
    return spread
