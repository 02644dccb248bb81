"""Equal weight ranges for the channels between two linear operators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.annotations import RANGE
from lprc.core.graph.operators import LINEAR
from lprc.core.options import option
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.passing.pass_order import State, reasons
from lprc.passes._scaling.linear_inputs import (
    LARGEST_SCALE,
    NOTHING,
    axes_behind_channels,
    magnitudes,
    scale_inputs,
    why_not_scalable,
    why_not_scaled,
)
from lprc.passes._scaling.sources import Blocked, Source, sources

Float = NDArray[np.float64]

SETTLED = 1e-3
"""A change of all scales of less than this share is none."""


@dataclass(frozen=True)
class Equalize(Pass):
    """Scale channels between linear operators so that their weights cover equal ranges.

    Cross-layer equalisation: Nagel et al., "Data-Free Quantization Through Weight Equalization and
    Bias Correction", ICCV 2019; Meller et al., "Same, Same But Different", ICML 2019. Output
    channel i of the first operator is divided by ``s_i = sqrt(r1_i / r2_i)`` and input channel i of
    the second multiplied by it, with r1 and r2 the largest weights there, in sweeps over all pairs.
    It needs no data. Pairs are Conv, ConvTranspose, Gemm and MatMul with nothing between them but
    operators for which ``f(k x) = k f(x)``, and no other users; run it after `fold-bn` and before
    `calibrate`. Ranges recorded on scaled values are dropped, because they no longer hold.

    Enters subgraphs.
    """

    name = "equalize"
    contract = exact
    not_after = reasons(
        {
            State.GRID: "scaled weights would not lie on their grid",
            State.QUANTIZED: "its weights are quantised already",
            State.QDQ: "its weights are quantised already",
        }
    )
    iterations: int = option(20, "the most sweeps over all pairs, 1 to 1000")

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ValueError: A number of sweeps outside 1 to 1000.
        """
        if not 1 <= self.iterations <= 1000:
            raise ValueError(f"iterations must be 1 to 1000, not {self.iterations}")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Find the pairs, settle their scales, and scale each pair that gains."""
        pairs = [
            pair
            for graph in editing.graphs(model)
            for node in graph
            if editing.is_op(node, *LINEAR)
            for pair in _pairs(node, context)
        ]
        _settle(pairs, self.iterations)
        for pair in pairs:
            _apply(pair, context)


@dataclass
class _Pair:
    """Two linear operators that share channels.

    Attributes:
        source: The first, and how its channels come to the second.
        reader: The second.
        damping: float64 [channels of the first], at least 1: how much larger than its weights
            a channel counts, because of its bias.
        scale: float64 [channels of the first]: what they are divided by, all sweeps together.
    """

    source: Source
    reader: ir.Node
    damping: Float
    scale: Float

    @property
    def of_reader(self) -> Float:
        """The scale of each input channel of the reader."""
        index = self.source.steps[-1].index
        return np.where(index < 0, 1.0, self.scale[index])


def _pairs(reader: ir.Node, context: PassContext) -> list[_Pair]:
    value = reader.inputs[0]
    if value is None or (editing.constant(value) is not None) or value.producer() is None:
        return []
    reason = why_not_scalable(reader)
    if reason is not None:
        context.skip(reader, reason)
        return []
    pairs, reasons, matrix = [], [], magnitudes(reader)
    channels = matrix.shape[0] * matrix.shape[2]
    for source in sources(value, axes_behind_channels(reader), channels):
        if isinstance(source, Blocked):
            reasons += [source.reason] if source.node is not None else []
        elif not source.is_linear:
            reasons.append(f"{source.node.op_type} is no linear operator")
        else:
            damping = _damping(source)
            pairs.append(_Pair(source, reader, damping, np.ones(len(damping))))
    for reason in dict.fromkeys(reasons):
        context.skip(reader, reason)
    return pairs


def _damping(source: Source) -> Float:
    """How far a channel's bias exceeds what its weights make of inputs of 1.

    The weights of a channel that is almost constant are tiny and its bias is not. Weights alone
    would let it grow until its activations dwarf those of all other channels.
    """
    layer, node = source.linear, source.node
    # The row sums of |weight|, with the kernel's elements summed too.
    weight = np.abs(layer.weight)
    flat = weight.reshape(*weight.shape[:2], -1).sum(axis=2)
    if node.op_type == "ConvTranspose":
        reach = flat.reshape(layer.groups, -1, flat.shape[1]).sum(axis=1).reshape(-1)
    else:
        reach = flat.sum(axis=1 - layer.out_axis)
    if node.op_type == "Gemm":
        reach = reach * abs(editing.attribute(node, "alpha", 1.0))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        excess = np.abs(layer.bias) / reach
    return np.where(np.isfinite(excess), np.maximum(excess, 1.0), 1.0)


def _settle(pairs: list[_Pair], iterations: int) -> None:
    """Sweep over the pairs until their scales settle; only `_Pair.scale` changes.

    An operator's weight is held as the largest ``|w|`` between each output and input channel,
    which scales as the weight does.
    """
    held = {node: magnitudes(node) for pair in pairs for node in (pair.source.node, pair.reader)}
    for _ in range(iterations):
        moved = 0.0
        for pair in pairs:
            first, second = held[pair.source.node], held[pair.reader]
            wanted = _scale(pair, first.max(axis=2).reshape(-1), second.max(axis=1).reshape(-1))
            scale = np.clip(pair.scale * wanted, 1 / LARGEST_SCALE, LARGEST_SCALE)
            step, pair.scale = scale / pair.scale, scale
            first /= step.reshape(first.shape[0], -1, 1)
            index = pair.source.steps[-1].index
            of_reader = np.where(index < 0, 1.0, step[index])
            second *= of_reader.reshape(second.shape[0], 1, -1)
            moved = max(moved, float(np.abs(np.log(step)).max(initial=0.0)))
        if moved < SETTLED:
            return


def _scale(pair: _Pair, made: Float, read: Float) -> Float:
    """``sqrt(r1 / r2)`` for each channel; 1 where nothing makes it or nothing reads it."""
    made, read = made * pair.damping, pair.source.steps[-1].largest(read)
    alive = (made > NOTHING) & (read > NOTHING)
    return np.sqrt(np.divide(made, read, out=np.ones_like(made), where=alive))


def _apply(pair: _Pair, context: PassContext) -> None:
    source, reader = pair.source, pair.reader
    reason = _why_not(pair)
    if reason is not None:
        context.skip(source.node, reason)
        return
    values = [step.value for step in source.steps]
    stale = [value for value in values if RANGE in value.metadata_props]
    low, high = float(pair.scale.min()), float(pair.scale.max())
    note = f"channels divided by {low:.3g} to {high:.3g}, undone by {reader.name}"
    if stale:
        note += f"; recorded ranges dropped: {len(stale)}"
    if not context.rewrite(source.node, note):
        return
    scale_inputs(reader, pair.of_reader)
    source.divide(pair.of_reader)
    for value in stale:
        del value.metadata_props[RANGE]


def _why_not(pair: _Pair) -> str | None:
    if np.abs(np.log(pair.scale)).max(initial=0.0) < 10 * SETTLED:
        return "its channels are equal already"
    source, reader = pair.source, pair.reader
    return why_not_scaled(reader, pair.of_reader) or source.why_not(pair.of_reader)
