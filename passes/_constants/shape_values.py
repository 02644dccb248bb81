"""The values of shape arithmetic as far as they are known: some elements may not be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing

Element = int | str | None
"""A number; or the key of an unknown dimension, equal where dimensions are; or nothing known."""


_MAX_RANK = 64
"""No shape has more dimensions; longer constants are data."""


@dataclass(frozen=True)
class Known:
    """The known elements of an int64 tensor of rank 0 or 1."""

    elements: tuple[Element, ...]
    rank: int

    def array(self) -> np.ndarray | None:
        """The tensor, if all of it is known."""
        numbers = [element for element in self.elements if isinstance(element, int)]
        if len(numbers) != len(self.elements):
            return None
        return np.array(numbers, dtype=np.int64).reshape(() if self.rank == 0 else (-1,))


def dimensions(value: ir.Value | None) -> tuple[Element, ...] | None:
    """The dimensions of `value`: numbers, and keys for those that are not known."""
    if value is None or value.shape is None:
        return None
    return tuple(
        dim if isinstance(dim, int) else (dim.value or f"{id(value)}.{axis}")
        for axis, dim in enumerate(value.shape)
    )


class ShapeValues:
    """Follows Shape through Gather, Slice, Concat, Squeeze, Unsqueeze and Cast.

    ``Gather(Shape(x), 1)`` is known where that one dimension of `x` is, whatever the others are.
    Ask for nodes in topological order.
    """

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}

    def visit(self, node: ir.Node) -> Known | None:
        """The known elements of the node's output, if it is shape arithmetic; users see them."""
        rule = _RULES.get(node.op_type) if node.domain in editing.ONNX_DOMAIN else None
        found = rule(self, node) if rule is not None else None
        if found is not None:
            self._known[id(node.outputs[0])] = found
        return found

    def of(self, value: ir.Value | None) -> Known | None:
        """The known elements of `value`: a constant, or visited before."""
        if value is None:
            return None
        if id(value) in self._known:
            return self._known[id(value)]
        if value.dtype not in (None, ir.DataType.INT64):
            return None
        array = editing.constant(value)
        if array is None or array.ndim > 1 or array.dtype != np.int64 or array.size > _MAX_RANK:
            return None
        return Known(tuple(int(element) for element in array.reshape(-1)), array.ndim)


def _shape(_: ShapeValues, node: ir.Node) -> Known | None:
    dims = dimensions(node.inputs[0])
    if dims is None:
        return None
    # Python's slices clamp and count from the end as Shape does.
    start = editing.attribute(node, "start", 0)
    return Known(dims[start : editing.attribute(node, "end", len(dims))], 1)


def _size(_: ShapeValues, node: ir.Node) -> Known | None:
    shape = editing.static_shape(node.inputs[0])
    return None if shape is None else Known((int(np.prod(shape, dtype=np.int64)),), 0)


def _gather(values: ShapeValues, node: ir.Node) -> Known | None:
    data, indices = values.of(node.inputs[0]), editing.constant(node.inputs[1])
    if data is None or data.rank != 1 or indices is None or indices.ndim > 1:
        return None
    picked = [int(index) for index in indices.reshape(-1)]
    if any(not -len(data.elements) <= index < len(data.elements) for index in picked):
        return None
    return Known(tuple(data.elements[index] for index in picked), indices.ndim)


def _slice(values: ShapeValues, node: ir.Node) -> Known | None:
    data = values.of(node.inputs[0])
    start, end = (editing.scalar(editing.input_at(node, index)) for index in (1, 2))
    step_value = editing.input_at(node, 4)
    step = 1 if step_value is None else editing.scalar(step_value)
    if data is None or start is None or end is None or step is None or step <= 0:
        return None
    return Known(data.elements[start:end:step], 1)


def _concat(values: ShapeValues, node: ir.Node) -> Known | None:
    parts = [values.of(value) for value in node.inputs]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts):
        return None
    return Known(tuple(element for part in known for element in part.elements), 1)


def _same(values: ShapeValues, node: ir.Node) -> Known | None:
    return values.of(node.inputs[0])


def _squeeze(values: ShapeValues, node: ir.Node) -> Known | None:
    found = values.of(node.inputs[0])
    return Known(found.elements, 0) if found is not None and len(found.elements) == 1 else None


def _unsqueeze(values: ShapeValues, node: ir.Node) -> Known | None:
    """From [] to [1]; more dimensions are not followed."""
    found, axes = values.of(node.inputs[0]), editing.axes_of(node)
    if found is None or found.rank != 0 or axes is None or len(axes) != 1:
        return None
    return Known(found.elements, 1)


def _cast(values: ShapeValues, node: ir.Node) -> Known | None:
    return values.of(node.inputs[0]) if editing.attribute(node, "to") == ir.DataType.INT64 else None


_RULES: dict[str, Callable[[ShapeValues, ir.Node], Known | None]] = {
    "Shape": _shape,
    "Size": _size,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Identity": _same,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Cast": _cast,
}
