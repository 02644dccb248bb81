"""Remove nodes that put out what they take in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.passing.contract import exact_if_finite
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class EliminateIdentity(Pass):
    """Remove nodes that do nothing: Identity, Dropout, Cast to the same type, no-op Reshape.

    Also Transposes and Unsqueeze/Squeeze pairs that cancel out, Pad by zero, Slice of everything,
    Concat of one, Mul and Div by 1, Add and Sub of 0, pools of 1×1. Where shapes decide, they
    must be known (``infer-shapes``). A node between a graph input and a graph output stays.

    Enters subgraphs.
    """

    name = "eliminate-identity"
    contract = exact_if_finite
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Remove each no-op, in one sweep in topological order."""
        for graph in editing.graphs(model):
            for node in list(graph):
                rule = _RULES.get(node.op_type) if node.domain in editing.ONNX_DOMAIN else None
                if rule is None or node.graph is not graph:
                    continue
                same_as = rule(node)
                if same_as is None or editing.stays_public(node.outputs[0], same_as):
                    continue
                if context.rewrite(node, f"is {same_as.name}"):
                    editing.replace_value(node.outputs[0], same_as)
                    editing.remove_dead([node])


def _first(node: ir.Node) -> ir.Value | None:
    return node.inputs[0]


def _dropout(node: ir.Node) -> ir.Value | None:
    mask_used = any(value.uses() or value.is_graph_output() for value in node.outputs[1:])
    training = editing.input_at(node, 2)
    off = training is None or editing.scalar(training) is False
    # Before opset 7 an attribute said whether this is inference.
    return node.inputs[0] if off and not mask_used and _is_test(node) else None


def _is_test(node: ir.Node) -> bool:
    graph = node.graph
    version = graph.opset_imports.get("", 7) if isinstance(graph, ir.Graph) else 7
    return version >= 7 or bool(editing.attribute(node, "is_test", 0))


def _cast(node: ir.Node) -> ir.Value | None:
    value = node.inputs[0]
    same = value is not None and value.dtype == ir.DataType(editing.attribute(node, "to", 0))
    return value if same else None


def _same_layout(node: ir.Node) -> ir.Value | None:
    """Reshape or Flatten to the shape of the input.

    One dimension may be unknown: the number of elements says that it is the same too.
    """
    value, output = node.inputs[0], node.outputs[0]
    if value is None or value.shape is None or output.shape is None:
        return None
    if len(value.shape) != len(output.shape) or 0 in value.shape:
        return None
    pairs = list(zip(value.shape, output.shape, strict=True))
    unknown = sum(not isinstance(before, int) for before, _ in pairs)
    same = all(
        before == after if isinstance(before, int) else not isinstance(after, int)
        for before, after in pairs
    )
    return value if same and unknown <= 1 else None


def _same_shape(node: ir.Node) -> ir.Value | None:
    """An operator whose static output shape is that of its input."""
    value, output = node.inputs[0], node.outputs[0]
    shape = editing.static_shape(value)
    return value if shape is not None and shape == editing.static_shape(output) else None


def _expand(node: ir.Node) -> ir.Value | None:
    value, target = node.inputs[0], editing.constant(editing.input_at(node, 1))
    if value is not None and target is not None and _keeps_shape(tuple(target.tolist()), value):
        return value
    return _same_shape(node)


def _transpose(node: ir.Node) -> ir.Value | None:
    value = node.inputs[0]
    perm = _perm(node)
    if value is None or perm is None:
        return None
    if perm == sorted(perm):
        return value
    inner = value.producer()
    if not editing.is_op(inner, "Transpose") or inner is None:
        return None
    first = _perm(inner)
    if first is None or len(first) != len(perm):
        return None
    return inner.inputs[0] if [first[axis] for axis in perm] == sorted(perm) else None


def _perm(node: ir.Node) -> list[int] | None:
    rank = editing.rank(node.inputs[0])
    perm = editing.attribute(node, "perm")
    if perm is not None:
        return list(perm)
    return None if rank is None else list(reversed(range(rank)))


def _squeeze(node: ir.Node) -> ir.Value | None:
    """Squeeze of an Unsqueeze, or the other way round, of the same axes."""
    value = node.inputs[0]
    inner = value.producer() if value is not None else None
    other = "Unsqueeze" if node.op_type == "Squeeze" else "Squeeze"
    if not editing.is_op(inner, other) or inner is None:
        return None
    axes, inner_axes = editing.axes_of(node), editing.axes_of(inner)
    squeezed = value if node.op_type == "Squeeze" else inner.inputs[0]
    rank = editing.rank(squeezed)
    if axes is None or inner_axes is None or rank is None:
        return None
    positive = {axis % rank for axis in axes}
    return inner.inputs[0] if positive == {axis % rank for axis in inner_axes} else None


def _pad(node: ir.Node) -> ir.Value | None:
    pads = editing.constant(editing.input_at(node, 1))
    if pads is None:
        pads = editing.attribute(node, "pads")
    return node.inputs[0] if pads is not None and not np.any(pads) else None


def _slice(node: ir.Node) -> ir.Value | None:
    steps = editing.constant(editing.input_at(node, 4))
    forward = editing.input_at(node, 4) is None or (steps is not None and (steps == 1).all())
    if not forward:
        return None
    return node.inputs[0] if _slices_all(node) else _same_shape(node)


def _slices_all(node: ir.Node) -> bool:
    """Whether each axis is sliced from its beginning to behind where any axis ends."""
    starts, ends = (editing.constant(editing.input_at(node, index)) for index in (1, 2))
    if starts is None or ends is None:
        return False
    return bool((starts == 0).all() and (ends >= np.iinfo(np.int32).max).all())


def _single_input(node: ir.Node) -> ir.Value | None:
    return node.inputs[0] if len(node.inputs) == 1 else None


def _neutral(number: float, *, right_only: bool = False) -> Callable[[ir.Node], ir.Value | None]:
    """A rule for a binary operator one of whose inputs is everywhere `number`."""

    def rule(node: ir.Node) -> ir.Value | None:
        left, right = node.inputs
        pairs = ((left, right),) if right_only else ((left, right), (right, left))
        for value, other in pairs:
            array = editing.constant(other)
            if value is None or array is None or not (array == number).all():
                continue
            shape = editing.static_shape(value)
            same = shape is not None and shape == editing.static_shape(node.outputs[0])
            if same or _keeps_shape(array.shape, value):
                return value
        return None

    return rule


def _keeps_shape(constant: tuple[int, ...], value: ir.Value) -> bool:
    """Whether broadcasting `value` with a constant of that shape gives the shape of `value`."""
    rank = editing.rank(value)
    return (
        rank is not None
        and len(constant) <= rank
        and all(
            size in (1, editing.dimension(value, axis - len(constant)))
            for axis, size in enumerate(constant)
        )
    )


def _pool(node: ir.Node) -> ir.Value | None:
    used = [value for value in node.outputs[1:] if value.uses() or value.is_graph_output()]
    ones = all(size == 1 for size in editing.attribute(node, "kernel_shape", ()))
    strides = all(size == 1 for size in editing.attribute(node, "strides", ()))
    pads = any(editing.attribute(node, "pads", ()))
    return node.inputs[0] if ones and strides and not pads and not used else None


def _resize(node: ir.Node) -> ir.Value | None:
    """Resize by a factor of 1 in every mode that samples where the pixels are."""
    scales = editing.constant(editing.input_at(node, 2))
    mode = editing.attribute(node, "coordinate_transformation_mode", "half_pixel")
    if scales is None or not scales.size or mode == "tf_crop_and_resize":
        return None
    return node.inputs[0] if (scales == 1).all() else None


def _reduction(node: ir.Node) -> ir.Value | None:
    axes = editing.axes_of(node)
    empty = axes is not None and len(axes) == 0
    return node.inputs[0] if empty and editing.attribute(node, "noop_with_empty_axes", 0) else None


_RULES: dict[str, Callable[[ir.Node], ir.Value | None]] = {
    "Identity": _first,
    "Dropout": _dropout,
    "Cast": _cast,
    "Reshape": _same_layout,
    "Expand": _expand,
    "Flatten": _same_layout,
    "Tile": _same_shape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _squeeze,
    "Pad": _pad,
    "Slice": _slice,
    "Concat": _single_input,
    "Sum": _single_input,
    "Max": _single_input,
    "Min": _single_input,
    "Mean": _single_input,
    "Mul": _neutral(1),
    "Div": _neutral(1, right_only=True),
    "Add": _neutral(0),
    "Sub": _neutral(0, right_only=True),
    "AveragePool": _pool,
    "MaxPool": _pool,
    "Resize": _resize,
    "ReduceMean": _reduction,
    "ReduceMax": _reduction,
    "ReduceMin": _reduction,
    "ReduceProd": _reduction,
    "ReduceSum": _reduction,
}
