"""The values of shape arithmetic as far as they are known: some elements may not be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.operators import COMMUTATIVE

Element = int | str | None
"""A number; or the key of what is not known, equal where two are; or nothing known."""


_LARGEST = {ir.DataType.INT64: 2**62, ir.DataType.INT32: 2**30}
"""The types of shapes, and what is more than any dimension and does not overflow."""

_MAX_RANK = 64
"""No shape has more dimensions; longer constants are data."""


@dataclass(frozen=True)
class Known:
    """The known elements of a tensor of rank 0 or 1: of integers, or truth values as 0 and 1."""

    elements: tuple[Element, ...]
    rank: int
    dtype: ir.DataType = ir.DataType.INT64

    @property
    def is_truth(self) -> bool:
        """Whether they are truth values."""
        return self.dtype == ir.DataType.BOOL

    def array(self) -> np.ndarray | None:
        """The tensor, if all of it is known."""
        numbers = [element for element in self.elements if isinstance(element, int)]
        if len(numbers) != len(self.elements):
            return None
        dtype = self.dtype.numpy()
        return np.array(numbers, dtype=dtype).reshape(() if self.rank == 0 else (-1,))


def dimensions(value: ir.Value | None) -> tuple[Element, ...] | None:
    """The dimensions of `value`: numbers, and keys for those that are not known."""
    if value is None or value.shape is None:
        return None
    return tuple(
        dim if isinstance(dim, int) else (dim.value or f"{id(value)}.{axis}")
        for axis, dim in enumerate(value.shape)
    )


class ShapeValues:
    """Follows Shape through Gather, Slice, Concat, Squeeze, Unsqueeze, Cast and arithmetic.

    ``Gather(Shape(x), 1)`` is known where that one dimension of `x` is, whatever the others are.
    Of a short vector of known length that nothing else is known of, each element is not known.
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
        """The known elements of `value`, which are numbers: a constant, or visited before."""
        if value is None:
            return None
        if id(value) in self._known:
            visited = self._known[id(value)]
            return None if visited.is_truth else visited
        if value.dtype is not None and value.dtype not in _LARGEST:
            return None
        array = editing.constant(value)
        if array is None:
            return self._unknown(value)
        written = _of_array(array)
        return written if written is not None and written.dtype in _LARGEST else None

    def truth_of(self, value: ir.Value | None) -> Known | None:
        """The known elements of `value`, which are truth values: a constant, or visited before."""
        visited = self._known.get(id(value))
        if visited is None:
            array = editing.constant(value)
            visited = None if array is None else _of_array(array)
        return visited if visited is not None and visited.is_truth else None

    @staticmethod
    def _unknown(value: ir.Value) -> Known | None:
        shape = editing.static_shape(value)
        if shape is None or value.dtype not in _LARGEST or len(shape) > 1:
            return None
        length = shape[0] if shape else 1
        return Known((None,) * length, len(shape), value.dtype) if length <= _MAX_RANK else None


def _of_array(array: NDArray[Any]) -> Known | None:
    if array.ndim > 1 or array.size > _MAX_RANK or array.dtype.kind not in "ib":
        return None
    return Known(
        tuple(map(int, array.reshape(-1))), array.ndim, ir.DataType.from_numpy(array.dtype)
    )


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
    return Known(tuple(data.elements[index] for index in picked), indices.ndim, data.dtype)


def _slice(values: ShapeValues, node: ir.Node) -> Known | None:
    data = values.of(node.inputs[0])
    start, end = (editing.scalar(editing.input_at(node, index)) for index in (1, 2))
    step_value = editing.input_at(node, 4)
    step = 1 if step_value is None else editing.scalar(step_value)
    if data is None or start is None or end is None or step is None or step <= 0:
        return None
    return Known(data.elements[start:end:step], 1, data.dtype)


def _concat(values: ShapeValues, node: ir.Node) -> Known | None:
    parts = [values.of(value) for value in node.inputs]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts):
        return None
    return Known(tuple(element for part in known for element in part.elements), 1, known[0].dtype)


def _same(values: ShapeValues, node: ir.Node) -> Known | None:
    return values.of(node.inputs[0])


def _squeeze(values: ShapeValues, node: ir.Node) -> Known | None:
    found = values.of(node.inputs[0])
    if found is None or len(found.elements) != 1:
        return None
    return Known(found.elements, 0, found.dtype)


def _unsqueeze(values: ShapeValues, node: ir.Node) -> Known | None:
    """From [] to [1]; more dimensions are not followed."""
    found, axes = values.of(node.inputs[0]), editing.axes_of(node)
    if found is None or found.rank != 0 or axes is None or len(axes) != 1:
        return None
    return Known(found.elements, 1, found.dtype)


def _cast(values: ShapeValues, node: ir.Node) -> Known | None:
    found, to = values.of(node.inputs[0]), ir.DataType(editing.attribute(node, "to"))
    if found is None or to not in _LARGEST:
        return None
    return Known(tuple(_fitting(element, to) for element in found.elements), found.rank, to)


def _fitting(element: Element, dtype: ir.DataType) -> Element:
    """What surely does not overflow; no dimension does, which runtimes count in more elements."""
    return None if isinstance(element, int) and abs(element) > _LARGEST[dtype] else element


def _arithmetic(values: ShapeValues, node: ir.Node) -> Known | None:
    operands = _broadcast([values.of(value) for value in node.inputs])
    if operands is None:
        return None
    left, right = operands
    pairs = zip(left.elements, right.elements, strict=True)
    elements = [_fitting(_computed(node.op_type, *pair), left.dtype) for pair in pairs]
    return Known(tuple(elements), left.rank, left.dtype)


def _computed(op_type: str, left: Element, right: Element) -> Element:
    if left is None or right is None:
        return None
    if isinstance(left, int) and isinstance(right, int):
        return _INTEGERS[op_type](left, right)
    if op_type in ("Mul", "Div") and right == 1:
        return left
    if op_type in ("Add", "Sub") and right == 0:
        return left
    operands = sorted(map(str, (left, right))) if op_type in COMMUTATIVE else [left, right]
    return f"{_COMPUTED}{op_type}({operands[0]}, {operands[1]})"


def _divided(left: int, right: int) -> int | None:
    # Rounding of negative numbers and what division by zero gives are left to the runtime.
    return left // right if left >= 0 and right > 0 else None


_INTEGERS: dict[str, Callable[[int, int], int | None]] = {
    "Add": lambda left, right: left + right,
    "Sub": lambda left, right: left - right,
    "Mul": lambda left, right: left * right,
    "Div": _divided,
}

_COMPUTED = "\N{NULL}"
"""What a key begins with that stands for no dimension itself: it may be negative."""


def _equal(values: ShapeValues, node: ir.Node) -> Known | None:
    operands = _broadcast([values.of(value) for value in node.inputs])
    if operands is None:
        return None
    pairs = zip(*(operand.elements for operand in operands), strict=True)
    return Known(tuple(_are_equal(*pair) for pair in pairs), operands[0].rank, ir.DataType.BOOL)


def _are_equal(left: Element, right: Element) -> Element:
    if left is None or right is None:
        return None
    if left == right:
        return 1
    for number, key in ((left, right), (right, left)):
        if isinstance(number, int) and isinstance(key, str):
            is_negative = number < 0 and not key.startswith(_COMPUTED)
            return 0 if is_negative else None
    return None if isinstance(left, str) else 0


def _where(values: ShapeValues, node: ir.Node) -> Known | None:
    condition, *chosen = node.inputs
    operands = _broadcast([values.truth_of(condition), *map(values.of, chosen)])
    if operands is None:
        return None
    triples = zip(*(operand.elements for operand in operands), strict=True)
    return Known(tuple(_chosen(*triple) for triple in triples), operands[0].rank, operands[1].dtype)


def _chosen(condition: Element, left: Element, right: Element) -> Element:
    if condition is None:
        return left if left == right else None
    return left if condition else right


def _broadcast(operands: Sequence[Known | None]) -> list[Known] | None:
    """The operands with as many elements each."""
    known = [operand for operand in operands if operand is not None]
    length = max((len(operand.elements) for operand in known), default=0)
    rank = max((operand.rank for operand in known), default=0)
    if len(known) != len(operands) or any(len(one.elements) not in (1, length) for one in known):
        return None
    return [Known(_repeated(one.elements, length), rank, one.dtype) for one in known]


def _repeated(elements: tuple[Element, ...], length: int) -> tuple[Element, ...]:
    return elements * length if len(elements) == 1 else elements


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
    "Add": _arithmetic,
    "Sub": _arithmetic,
    "Mul": _arithmetic,
    "Div": _arithmetic,
    "Equal": _equal,
    "Where": _where,
}
