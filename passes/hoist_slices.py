"""Slices in front of the operators that they throw work of away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.normalization import is_training_normalization
from lprc.core.graph.operators import BROADCAST, UNARY
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._channels.axes import POOLS, aligned_axis, slice_bounds

Bounds = dict[int, slice]


@dataclass(frozen=True)
class HoistSlices(Pass):
    """Slice before an operator instead of after it, where the Slice is all that uses the operator.

    Elementwise operators commute with every Slice (constants are sliced along), pools,
    BatchNormalization and depthwise Conv with one of batch or channels, a 1×1 Conv with one of
    space. A channel Slice of a Conv is not moved but vanishes: the Conv loses the output channels
    that nothing reads.
    """

    name = "hoist-slices"
    contract = exact
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Hoist each constant Slice as far as it goes; see the class."""
        if editing.opset_version(model) < 13:
            return
        for graph in editing.graphs(model):
            for node in list(graph):
                current: ir.Node | None = node if editing.is_op(node, "Slice") else None
                while current is not None:
                    current = _hoist(current, context)


def _hoist(node: ir.Node, context: PassContext) -> ir.Node | None:
    """Move a Slice before its producer; the new Slice, or None if it stays or is gone."""
    source = node.inputs[0]
    producer = None if source is None else source.producer()
    if producer is None or not _is_candidate(producer):
        return None
    bounds = slice_bounds(node)
    reason = "bounds are not constant" if bounds is None else _why_not(node, producer, bounds)
    if reason:
        context.skip(node, reason)
        return None
    assert bounds is not None
    if not context.rewrite(node, f"moved before {producer.name}"):
        return None
    if _drops_filters(producer, bounds):
        result, moved = _drop_filters(node, producer, bounds), None
    else:
        result, moved = _commute(node, producer, bounds)
    editing.replace_value(node.outputs[0], result, before=node)
    editing.remove_dead([node])
    return moved


def _is_candidate(producer: ir.Node) -> bool:
    return editing.is_op(producer, *UNARY, *BROADCAST, *POOLS, "BatchNormalization", "Conv")


def _why_not(node: ir.Node, producer: ir.Node, bounds: Bounds) -> str | None:
    output = producer.outputs[0]
    if node.inputs[0] is not output or not editing.is_private(output):
        return "sliced tensor has other users"
    if node.graph is not producer.graph:
        return "sliced in a subgraph"
    if any(extra.uses() or extra.is_graph_output() for extra in producer.outputs[1:]):
        return f"{producer.op_type} has another output in use"
    if editing.is_op(producer, *BROADCAST):
        return _why_not_binary(producer, bounds)
    if editing.is_op(producer, "Conv", "BatchNormalization", *POOLS):
        reason = _why_not_windows(producer, bounds)
        return "Slice may be empty" if reason is None and _may_be_empty(output, bounds) else reason
    return None


def _may_be_empty(value: ir.Value, bounds: Bounds) -> bool:
    """Whether nothing may be left of channels or space, which runtimes refuse to pool."""
    sizes = {axis: editing.dimension(value, axis) for axis in bounds if axis != 0}
    return any(size is None or not _taken(size, bounds[axis]) for axis, size in sizes.items())


def _why_not_windows(producer: ir.Node, bounds: Bounds) -> str | None:
    if editing.is_op(producer, "Conv"):
        return _why_not_conv(producer, bounds)
    if editing.is_op(producer, *POOLS) and any(axis > 1 for axis in bounds):
        return f"Slice on a spatial axis of {producer.op_type}"
    if editing.is_op(producer, "BatchNormalization"):
        if is_training_normalization(producer):
            return "BatchNormalization is training"
        if 1 in bounds and any(editing.constant(value) is None for value in producer.inputs[1:]):
            return "BatchNormalization weights are not constant"
    return None


def _why_not_binary(producer: ir.Node, bounds: Bounds) -> str | None:
    rank = editing.rank(producer.outputs[0])
    full = _full_input(producer, bounds)
    if rank is None or full is None:
        return "shapes are unknown or both operands are broadcast"
    for index, value in enumerate(producer.inputs):
        if index == full or value is None:
            continue
        if editing.rank(value) is None:
            return "shapes are unknown or both operands are broadcast"
        sizes = [
            editing.dimension(value, own)
            for axis in bounds
            if (own := aligned_axis(value, rank, axis)) is not None
        ]
        if any(size != 1 for size in sizes) and editing.constant(value) is None:
            return "the other operand is not constant"
    return None


def _full_input(producer: ir.Node, bounds: Bounds) -> int | None:
    """Which operand has the output's rank and size on all sliced axes, without being constant."""
    output = producer.outputs[0]
    for index, value in enumerate(producer.inputs):
        sizes = [
            (editing.dimension(value, axis), editing.dimension(output, axis)) for axis in bounds
        ]
        if (
            editing.constant(value) is None
            and editing.rank(value) == editing.rank(output)
            and all(own is not None and own == whole for own, whole in sizes)
        ):
            return index
    return None


def _why_not_conv(conv: ir.Node, bounds: Bounds) -> str | None:
    if set(bounds) == {0}:
        return None
    if any(axis > 1 for axis in bounds):
        return (
            None if _is_pointwise(conv) and 1 not in bounds else "Slice on a spatial axis of Conv"
        )
    if 0 in bounds:
        return "Slice on both batch and channels of Conv"
    if any(value is not None and editing.constant(value) is None for value in conv.inputs[1:]):
        return "Conv weights are not constant"
    group = editing.attribute(conv, "group", 1)
    count = editing.dimension(conv.inputs[1], 0)
    assert count is not None
    if group != 1 and not (group == count and editing.dimension(conv.inputs[1], 1) == 1):
        return "grouped Conv"
    return None


def _is_pointwise(conv: ir.Node) -> bool:
    weight = editing.static_shape(conv.inputs[1])
    return (
        weight is not None
        and all(size == 1 for size in weight[2:])
        and all(stride == 1 for stride in editing.attribute(conv, "strides") or ())
        and not any(editing.attribute(conv, "pads") or ())
    )


def _drops_filters(producer: ir.Node, bounds: Bounds) -> bool:
    return (
        editing.is_op(producer, "Conv")
        and 1 in bounds
        and editing.attribute(producer, "group", 1) == 1
    )


def _drop_filters(node: ir.Node, conv: ir.Node, bounds: Bounds) -> ir.Value:
    inputs = [conv.inputs[0], *(_cut(conv, value, {0: bounds[1]}) for value in conv.inputs[1:])]
    return _like(conv, inputs, node, {})


def _commute(node: ir.Node, producer: ir.Node, bounds: Bounds) -> tuple[ir.Value, ir.Node]:
    full = _full_input(producer, bounds) if editing.is_op(producer, *BROADCAST) else 0
    assert full is not None
    inputs = list(producer.inputs)
    source = inputs[full]
    assert source is not None
    cut = editing.new_node(
        "Slice",
        [source, *node.inputs[1:]],
        before=node,
        sources=[node],
        name=node.name,
        dtype=source.dtype,
        shape=_sliced_shape(source, bounds),
    )
    inputs[full] = cut
    attributes = {}
    rank = editing.rank(producer.outputs[0])
    for index, value in enumerate(inputs):
        if index == full or value is None:
            continue
        if editing.is_op(producer, *BROADCAST):
            assert rank is not None
            aligned = {aligned_axis(value, rank, axis): taken for axis, taken in bounds.items()}
            own = {
                axis: taken
                for axis, taken in aligned.items()
                if axis is not None and editing.dimension(value, axis) != 1
            }
            inputs[index] = _cut(producer, value, own)
        elif 1 in bounds and editing.is_op(producer, "BatchNormalization", "Conv"):
            inputs[index] = _cut(producer, value, {0: bounds[1]})
    if editing.is_op(producer, "Conv") and 1 in bounds:
        attributes["group"] = editing.dimension(inputs[1], 0)
    moved = cut.producer()
    assert moved is not None
    return _like(producer, inputs, node, attributes), moved


def _like(
    producer: ir.Node,
    inputs: list[ir.Value | None],
    node: ir.Node,
    attributes: dict[str, int | None],
) -> ir.Value:
    """The operator of `producer` applied to other inputs, with the shape that `node` gives it."""
    like = editing.new_node(
        producer.op_type,
        inputs,
        before=node,
        sources=[producer, node],
        attributes={**producer.attributes, **attributes},
        name=producer.name,
        shape=node.outputs[0].shape,
    )
    # Cast, IsNaN and comparisons put out another type than they read.
    like.type = producer.outputs[0].type
    return like


def _cut(node: ir.Node, value: ir.Value | None, bounds: Bounds) -> ir.Value | None:
    """A constant with only the part of it that `bounds` leaves."""
    array = editing.constant(value)
    if value is None or array is None or not bounds:
        return value
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    index = tuple(bounds.get(axis, slice(None)) for axis in range(array.ndim))
    return editing.add_initializer(graph, f"{value.name}_sliced", np.asarray(array[index]))


def _taken(count: int, bounds: slice) -> int:
    return len(range(count)[bounds])


def _sliced_shape(source: ir.Value, bounds: Bounds) -> list[int | ir.SymbolicDim | None] | None:
    if source.shape is None:
        return None
    return [
        dim if axis not in bounds else (_taken(dim, bounds[axis]) if isinstance(dim, int) else None)
        for axis, dim in enumerate(source.shape)
    ]
