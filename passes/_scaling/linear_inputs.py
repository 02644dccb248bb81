"""The input channels of Conv, ConvTranspose, Gemm and MatMul: how large, and scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.annotations import GRID
from lprc.core.passing import precision
from lprc.passes._scaling import linear_layers

Float = NDArray[np.float64]

LARGEST_SCALE = 2.0**20
"""No channel should be scaled by more, or by less than its reciprocal: so that a weight scaled on
both sides keeps float32's precision."""

NOTHING = 2.0**-80
"""What is no larger counts as zero: scaled down twice it would be no normal float32 any more."""


def why_not_scalable(node: ir.Node) -> str | None:
    """Why the weight of a linear operator must stay as it is; None where it may be scaled."""
    value = editing.input_at(node, 1)
    weight = editing.constant(value)
    if value is None or weight is None:
        return "the weight is not constant"
    if weight.dtype not in (np.float32, np.float64):
        return "the weight is neither float32 nor float64"
    if not weight.size:
        return "the weight is empty"
    if not np.isfinite(weight).all():
        return "weights are not finite"
    if len(value.uses()) > 1 or value.is_graph_output():
        return "the weight is shared"
    if GRID in value.metadata_props:
        return "the weight is rounded to a grid already"
    if node.op_type == "MatMul" and weight.ndim != 2:
        return "the weight is not a matrix"
    if node.op_type == "Gemm" and editing.attribute(node, "transA", 0):
        return "the Gemm transposes its input"
    return None


def axes_behind_channels(node: ir.Node) -> int:
    """How many axes of a linear operator's input and output lie behind that of the channels."""
    return _weight(node).ndim - 2


def _weight(node: ir.Node) -> NDArray[Any]:
    weight = editing.constant(node.inputs[1])
    assert weight is not None
    return weight


def magnitudes(node: ir.Node) -> Float:
    """The largest ``|weight|`` between each output and each input channel, over the kernel.

    Returns:
        float64 [groups, output channels of a group, input channels of a group].
    """
    weight = _weight(node)
    largest = np.abs(weight.astype(np.float64)).max(axis=tuple(range(2, weight.ndim)), initial=0.0)
    groups = int(editing.attribute(node, "group", 1))
    if node.op_type == "Conv":
        matrix = largest.reshape(groups, -1, weight.shape[1])
    elif node.op_type == "ConvTranspose":
        matrix = largest.reshape(groups, -1, weight.shape[1]).transpose(0, 2, 1)
    elif node.op_type == "Gemm" and editing.attribute(node, "transB", 0):
        matrix = largest[np.newaxis]
    else:
        matrix = largest.T[np.newaxis]
    return np.asarray(matrix, np.float64)


def why_not_scaled(node: ir.Node, factor: Float) -> str | None:
    """Why the type of the operator's weight does not hold its `scaled_weight`; None if it does."""
    layer = linear_layers.of_node(node)
    losses = precision.lost(scaled_weight(node, factor), _weight(node).dtype)
    if not losses.any():
        return None
    if isinstance(layer, str):
        return precision.OVERFLOWS if np.isinf(losses).any() else precision.UNDERFLOWS
    return precision.why_not_storable(
        linear_layers.row_sums(layer, losses), layer.bias, layer.dtype
    )


def scaled_weight(node: ir.Node, factor: Float) -> Float:
    """The weight that does for ``x / factor`` what the operator's own does for ``x``.

    Args:
        node: A linear operator that `why_not_scalable` has nothing against.
        factor: float64 [input channels].
    """
    weight = _weight(node)
    wide, rest = weight.astype(np.float64), (1,) * (weight.ndim - 2)
    if node.op_type == "Conv":
        groups = int(editing.attribute(node, "group", 1))
        by_group = wide.reshape(groups, -1, *weight.shape[1:])
        scaled = by_group * factor.reshape(groups, 1, weight.shape[1], *rest)
    elif node.op_type == "Gemm" and editing.attribute(node, "transB", 0):
        scaled = wide * factor
    else:
        scaled = wide * factor.reshape(-1, 1, *rest)
    return np.asarray(scaled.reshape(weight.shape))


def scale_inputs(node: ir.Node, factor: Float) -> None:
    """Give the operator its `scaled_weight`."""
    old, graph = node.inputs[1], node.graph
    assert old is not None
    assert isinstance(graph, ir.Graph)
    hint = old.name or f"{node.name or node.op_type}.weight"
    scaled = precision.stored(scaled_weight(node, factor), _weight(node).dtype)
    new = editing.add_initializer(graph, hint, scaled)
    node.replace_input_with(1, new)
    editing.remove_dead_initializer(old)
