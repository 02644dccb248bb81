"""The values of shape arithmetic as far as they are known: some elements may not be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from lprc.core import editing

Partial = list["int | None"]
"""The elements of a 1-D (or, with one element, 0-D) int64 tensor; None where not known."""


class ShapeValues:
    """Follows Shape through Gather, Slice, Concat, Squeeze, Unsqueeze and Cast.

    ``Gather(Shape(x), 1)`` is known where that one dimension of `x` is, whatever the others are.
    Ask for nodes in topological order.
    """

    def __init__(self) -> None:
        self._known: dict[int, Partial] = {}

    def visit(self, node: ir.Node) -> Partial | None:
        """The elements of the node's output, if it is shape arithmetic; kept for its users."""
        rule = _RULES.get(node.op_type) if node.domain in editing.ONNX_DOMAIN else None
        found = rule(self, node) if rule is not None else None
        if found is not None:
            self._known[id(node.outputs[0])] = found
        return found

    def of(self, value: ir.Value | None) -> Partial | None:
        """The elements of `value`: constant, or visited before."""
        if value is None:
            return None
        if id(value) in self._known:
            return self._known[id(value)]
        array = editing.constant(value)
        if array is None or array.ndim > 1 or array.dtype not in (np.int64, np.int32):
            return None
        return [int(element) for element in array.reshape(-1)]


def _shape(_: ShapeValues, node: ir.Node) -> Partial | None:
    value = node.inputs[0]
    if value is None or value.shape is None:
        return None
    dims: Partial = [dim if isinstance(dim, int) else None for dim in value.shape]
    start = editing.attribute(node, "start", 0)
    return dims[start : editing.attribute(node, "end", len(dims))]


def _size(_: ShapeValues, node: ir.Node) -> Partial | None:
    shape = editing.static_shape(node.inputs[0])
    return None if shape is None else [int(np.prod(shape, dtype=np.int64))]


def _gather(values: ShapeValues, node: ir.Node) -> Partial | None:
    data, indices = values.of(node.inputs[0]), editing.constant(node.inputs[1])
    if data is None or indices is None or indices.ndim > 1:
        return None
    picked = [int(index) for index in indices.reshape(-1)]
    if any(not -len(data) <= index < len(data) for index in picked):
        return None
    return [data[index] for index in picked]


def _slice(values: ShapeValues, node: ir.Node) -> Partial | None:
    data = values.of(node.inputs[0])
    parts = [editing.scalar(editing.input_at(node, index)) for index in (1, 2)]
    step_value = editing.input_at(node, 4)
    step = 1 if step_value is None else editing.scalar(step_value)
    if data is None or None in parts or not step:
        return None
    start, end = parts
    return data[start:end:step] if step > 0 else None


def _concat(values: ShapeValues, node: ir.Node) -> Partial | None:
    joined: Partial = []
    for value in node.inputs:
        part = values.of(value)
        if part is None:
            return None
        joined += part
    return joined


def _same(values: ShapeValues, node: ir.Node) -> Partial | None:
    return values.of(node.inputs[0])


def _one_dimension(values: ShapeValues, node: ir.Node) -> Partial | None:
    """Squeeze or Unsqueeze between [] and [1]; more dimensions than one are not followed."""
    found = values.of(node.inputs[0])
    rank = 1 if node.op_type == "Squeeze" else 0
    known = found is not None and len(found) == 1 and editing.rank(node.inputs[0]) == rank
    return found if known else None


def _cast(values: ShapeValues, node: ir.Node) -> Partial | None:
    return values.of(node.inputs[0]) if editing.attribute(node, "to") == ir.DataType.INT64 else None


_RULES: dict[str, Callable[[ShapeValues, ir.Node], Partial | None]] = {
    "Shape": _shape,
    "Size": _size,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Identity": _same,
    "Squeeze": _one_dimension,
    "Unsqueeze": _one_dimension,
    "Cast": _cast,
}
