"""Values that are bytes times a step: what a graph makes of pictures before its first layer.

Their range needs no samples, and eight bits hold them without any error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import Range
from lprc.core.quantization.affine import QuantParams, Scheme

_MIDDLE = 128
"""The byte that int8 calls 0."""


@dataclass(frozen=True)
class ByteImage:
    """A float value that is ``(data - zero) * step``.

    Attributes:
        data: The uint8 value.
        zero: A byte.
        step: Positive.
    """

    data: ir.Value
    zero: int
    step: float

    def range_for(self, scheme: Scheme) -> Range | None:
        """The range whose grid has every byte; None where `scheme` has no such grid."""
        if scheme == "asymmetric" or (scheme == "unsigned" and self.zero == 0):
            return Range(-self.zero * self.step, (255 - self.zero) * self.step)
        # -128 is beyond the range, and QuantizeLinear's int8 has it all the same.
        return Range(-127 * self.step, 127 * self.step) if self.zero == _MIDDLE else None

    def is_quantised_by(self, params: QuantParams) -> bool:
        """Whether QuantizeLinear with `params` gives `data` back."""
        return (
            params.zero_point.dtype == np.uint8
            and params.scale.size == 1
            and float(params.scale) == float(np.float32(self.step))
            and int(params.zero_point) == self.zero
        )


def byte_image(value: ir.Value | None) -> ByteImage | None:
    """What `value` is, if it is a Cast of bytes, less a byte, times a number; else None."""
    zero, step = 0.0, 1.0
    node = None if value is None else value.producer()
    if editing.is_op(node, "Mul"):
        operand, number = _with_number(node)
        if operand is None or number is None or number <= 0:
            return None
        step, node = number, operand.producer()
    if editing.is_op(node, "Sub"):
        operand, number = _with_number(node)
        if operand is None or number is None or operand is not node.inputs[0]:  # type: ignore[union-attr]
            return None
        zero, node = number, operand.producer()
    if node is None or not editing.is_op(node, "Cast"):
        return None
    data = node.inputs[0]
    is_float = node.outputs[0].dtype == ir.DataType.FLOAT
    if data is None or data.dtype != ir.DataType.UINT8 or not is_float:
        return None
    if zero != int(zero) or not 0 <= zero <= 255:
        return None
    return ByteImage(data, int(zero), step)


def _with_number(node: ir.Node | None) -> tuple[ir.Value | None, float | None]:
    """The input of a binary operator that moves, and the one number that the other is."""
    if node is None or len(node.inputs) != 2:
        return None, None
    for operand, other in (node.inputs, tuple(reversed(node.inputs))):
        array = editing.constant(other)
        if array is not None and array.size and (array == array.flat[0]).all():
            # One that had more dimensions would give the result more.
            fits = array.ndim <= (editing.rank(operand) or 0)
            return (operand, float(array.flat[0])) if fits else (None, None)
    return None, None
