"""Means and deviations of activations' channels from weights alone, without data.

Nagel, van Baalen, Blankevoort and Welling, "Data-Free Quantization Through Weight Equalization and
Bias Correction", ICCV 2019, appendix C: what BatchNormalization puts out is normal with its offset
as mean and its scale as deviation, and a rectifier clips that normal. Linear operators pass means
on exactly and variances as if their inputs were independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.graph.clip_bounds import clip_bounds
from lprc.core.graph.operators import AVERAGES
from lprc.passes._fitting.unfold import Unfolded, unfolded

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ChannelStatistics:
    """The mean and standard deviation of each channel (axis 1): float64 [channels]."""

    mean: Float
    deviation: Float

    def clipped(self, low: float, high: float) -> ChannelStatistics:
        """The statistics of ``clip(x, low, high)`` for normal x."""
        mean, deviation = self.mean, np.maximum(self.deviation, 1e-12)
        a, b = (low - mean) / deviation, (high - mean) / deviation
        below, above = _cumulative(a), 1 - _cumulative(b)
        inside = 1 - below - above
        first = mean * inside + deviation * (_density(a) - _density(b))
        second = (mean**2 + deviation**2) * inside
        second += deviation * (_edge(mean + low, a) - _edge(mean + high, b))
        expected = first + _edge_mass(low, below) + _edge_mass(high, above)
        square = second + _edge_mass(low, below, 2) + _edge_mass(high, above, 2)
        return ChannelStatistics(expected, np.sqrt(np.maximum(square - expected**2, 0.0)))


def _density(z: Float) -> Float:
    return np.asarray(np.exp(-np.minimum(z**2, 1e3) / 2) / math.sqrt(2 * math.pi))


def _cumulative(z: Float) -> Float:
    return np.array([0.5 * math.erfc(-each / math.sqrt(2)) for each in z])


def _edge(factor: Float, z: Float) -> Float:
    return np.where(np.isfinite(z), factor, 0.0) * _density(z)


def _edge_mass(edge: float, mass: Float, power: int = 1) -> Float:
    return np.asarray(edge**power * mass if math.isfinite(edge) else np.zeros_like(mass))


def channel_statistics(graph: ir.Graph) -> dict[ir.Value, ChannelStatistics]:
    """The statistics of those activations of `graph` whose sources give them.

    A graph input with a recorded range counts as uniform over it.
    """
    by_value: dict[ir.Value, ChannelStatistics] = {}
    for value in graph.inputs:
        input_range, channels = range_of(value), editing.dimension(value, 1)
        if input_range is not None and channels is not None:
            middle, width = (
                (input_range.low + input_range.high) / 2,
                input_range.high - input_range.low,
            )
            by_value[value] = ChannelStatistics(
                np.full(channels, middle), np.full(channels, width / math.sqrt(12))
            )
    for node in graph:
        statistics = _of_node(node, by_value)
        if statistics is not None:
            by_value[node.outputs[0]] = statistics
    return by_value


def _of_node(
    node: ir.Node, by_value: dict[ir.Value, ChannelStatistics]
) -> ChannelStatistics | None:
    if editing.is_op(node, "BatchNormalization"):
        scale, offset = (editing.constant(editing.input_at(node, index)) for index in (1, 2))
        if scale is None or offset is None:
            return None
        return ChannelStatistics(offset.astype(np.float64), np.abs(scale.astype(np.float64)))
    inputs = [by_value.get(value) for value in node.inputs if value is not None]
    if not inputs or inputs[0] is None:
        return None
    if editing.is_op(node, *_KEPT):
        return inputs[0]
    if editing.is_op(node, "Relu"):
        return inputs[0].clipped(0.0, math.inf)
    if editing.is_op(node, "Clip"):
        return _clip(node, inputs[0])
    of_inputs = [statistics for statistics in inputs if statistics is not None]
    if len(of_inputs) == len(inputs) == 2 and editing.is_op(node, "Add"):
        return _sum(of_inputs[0], of_inputs[1])
    if editing.is_op(node, "Concat") and len(of_inputs) == len(inputs):
        return _concatenated(node, of_inputs)
    layer = unfolded(node)
    return _linear(layer, inputs[0]) if isinstance(layer, Unfolded) else None


# A ReduceMean may be one over the channels.
_KEPT = AVERAGES - {"ReduceMean"} | {"Identity", "Dropout"}
"""Operators that keep channels' means; averages keep deviations too, as if neighbours agreed."""


def _clip(node: ir.Node, before: ChannelStatistics) -> ChannelStatistics | None:
    bounds = clip_bounds(node)
    return None if bounds is None else before.clipped(*bounds)


def _sum(left: ChannelStatistics, right: ChannelStatistics) -> ChannelStatistics | None:
    if left.mean.shape != right.mean.shape:
        return None
    return ChannelStatistics(left.mean + right.mean, np.hypot(left.deviation, right.deviation))


def _concatenated(node: ir.Node, parts: list[ChannelStatistics]) -> ChannelStatistics | None:
    if editing.attribute(node, "axis") != 1:
        return None
    return ChannelStatistics(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.deviation for part in parts]),
    )


def _linear(layer: Unfolded, before: ChannelStatistics) -> ChannelStatistics | None:
    node = layer.node
    bias_value = editing.input_at(node, 2)
    bias = editing.constant(bias_value)
    if bias_value is not None and bias is None:
        return None
    mean = output_mean(layer, layer.array.astype(np.float64), before.mean)
    variance = output_mean(layer, layer.array.astype(np.float64) ** 2, before.deviation**2)
    if mean is None or variance is None:
        return None
    if bias is not None:
        factor = float(editing.attribute(node, "beta", 1.0)) if node.op_type == "Gemm" else 1.0
        if bias.size not in (1, mean.size):
            return None
        mean = mean + factor * bias.astype(np.float64).reshape(-1)
    return ChannelStatistics(mean, np.sqrt(variance))


def output_mean(layer: Unfolded, weight: Float, mean: Float) -> Float | None:
    """``E[W x]`` for each output channel, borders left out of account.

    Args:
        layer: The layer.
        weight: W, laid out as the layer's weight.
        mean: E[x] for each input channel.

    Returns:
        float64 [output channels]; None where the channels of `x` are not what W sums over.
    """
    node = layer.node
    if node.op_type == "MatMul" and editing.rank(layer.input) != 2:
        return None
    if node.op_type == "Gemm" and editing.attribute(node, "transA", 0):
        return None
    rows = layer.rows(weight)
    per_group = mean.size // layer.groups
    if per_group * layer.groups != mean.size or layer.size % max(1, per_group):
        return None
    taps = int(np.prod(layer.array.shape[2:], dtype=np.int64))
    if layer.size != per_group * taps:
        return None
    sums = rows.reshape(*rows.shape[:2], per_group, taps).sum(axis=3)
    if node.op_type == "ConvTranspose":
        # Each output position meets one tap in as many as the strides span.
        strides = editing.attribute(node, "strides") or [1]
        sums = sums / float(np.prod(strides))
    alpha = float(editing.attribute(node, "alpha", 1.0)) if node.op_type == "Gemm" else 1.0
    product = np.einsum("grc,gc->gr", sums, mean.reshape(layer.groups, per_group))
    return np.asarray(alpha * product.reshape(-1))
