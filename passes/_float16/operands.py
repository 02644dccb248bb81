"""What can be said of a node from its operands: how many it sums, whether they are near zero."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.graph.operators import SOFTMAX
from lprc.core.graph.reduction import reduced_axes
from lprc.passes._float16.fits import SMALLEST_NORMAL

_EXACT_INTEGERS = 2048.0
"""Up to here float16 holds every integer."""

_SMALL_INTEGERS = (ir.DataType.BOOL, ir.DataType.INT8, ir.DataType.UINT8)


def is_square(node: ir.Node) -> bool:
    """Whether `node` is Mul(x, x) or a power."""
    if editing.is_op(node, "Pow"):
        return True
    return editing.is_op(node, "Mul") and node.inputs[0] is node.inputs[1]


def is_unsafe_cast(node: ir.Node | None) -> bool:
    """Whether `node` makes float32 of integers that float16 may not hold."""
    if not editing.is_op(node, "Cast"):
        return False
    assert node is not None
    source, output = node.inputs[0], node.outputs[0]
    if source is None or source.dtype is None or not source.dtype.is_integer():
        return False
    output_range = range_of(output)
    if output_range is not None:
        return output_range.magnitude > _EXACT_INTEGERS
    return source.dtype not in _SMALL_INTEGERS


def summed_elements(node: ir.Node) -> int | None:
    """How many elements go into each element of the result; None if that can vary."""
    if node.op_type == "AveragePool":
        return int(math.prod(editing.attribute(node, "kernel_shape")))
    source = node.inputs[0]
    rank = editing.rank(source)
    if rank is None:
        return None
    axes: Iterable[int] | None
    if node.op_type == "GlobalAveragePool":
        axes = range(2, rank)
    elif node.op_type in SOFTMAX:
        axes = (editing.attribute(node, "axis", -1),)
    else:
        axes = reduced_axes(node, rank)
    sizes = [] if axes is None else [editing.dimension(source, axis) for axis in axes]
    known_sizes = [size for size in sizes if size is not None]
    return math.prod(known_sizes) if axes is not None and len(known_sizes) == len(sizes) else None


def is_away_from_zero(node: ir.Node) -> bool:
    """Whether the divisor (or the logarithm's argument) keeps its digits in float16."""
    operand = node.inputs[1 if node.op_type == "Div" else 0]
    if editing.constant(operand) is not None:
        return True
    found = range_of(operand)
    return found is not None and (found.low >= SMALLEST_NORMAL or found.high <= -SMALLEST_NORMAL)
