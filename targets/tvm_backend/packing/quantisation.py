"""QuantizeLinear and DequantizeLinear: integers are kept as long as operators can read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lprc.targets.tvm_backend.kernels.functions import number, quantised
from lprc.targets.tvm_backend.kernels.windows import Read
from lprc.targets.tvm_backend.packed import Integers, Packed, Quantisation, Value
from lprc.targets.tvm_backend.packing.packer import Handler, Packer


def quantize(packer: Packer, call: Any) -> Value | None:
    """Of an activation with one scale: to be computed where the activation is."""
    expression, scales, zero_points = call.args
    scale, zero_point = packer.array(scales), packer.array(zero_points)
    dtype = str(call.attrs.out_dtype)
    if scale is None or zero_point is None or dtype not in ("int8", "uint8"):
        return None
    value = packer.packed(packer.take(expression))
    if value is None or scale.size != 1 or zero_point.size != 1:
        return None
    wanted = Quantisation(float(scale.reshape(())), int(zero_point.reshape(())), dtype)
    quantized = value if value.quantisation == wanted else requantised(value, wanted)
    return replace(quantized, integers=True)


def requantised(value: Packed, wanted: Quantisation) -> Packed:
    """An activation rounded to a scale."""

    def read(tensors: Sequence[Any], root: Read | None) -> Read:
        inner, per = value.floats(tensors, root), number(1.0 / wanted.scale)

        def at(*index: Any) -> Any:
            return quantised(inner(*index) * per, wanted.zero_point, wanted.offset, wanted.dtype)

        return at

    return replace(value, read=read, quantisation=wanted, columns=None, cheap=False)


def dequantize(packer: Packer, call: Any) -> Value | None:
    """Of a constant: the integers are remembered. Of an activation: nothing is computed.

    Its scale need not be that of the QuantizeLinear before it.
    """
    expression, scales, zero_points = call.args
    values, scale = packer.array(expression), packer.array(scales)
    if values is not None and scale is not None:
        zero_point = packer.array(zero_points)
        if zero_point is None:
            return None
        return Integers(values, scale, zero_point, int(call.attrs.axis) % max(values.ndim, 1))
    value = packer.take_integers(expression)
    zero_point = packer.array(zero_points)
    if (
        not isinstance(value, Packed)
        or not value.integers
        or value.quantisation is None
        or scale is None
        or zero_point is None
        or scale.size != 1
    ):
        return None
    quantisation = Quantisation(
        float(scale.reshape(())), int(zero_point.reshape(())), value.quantisation.dtype
    )
    return replace(value, quantisation=quantisation, integers=False)


HANDLERS: dict[str, Handler] = {"relax.quantize": quantize, "relax.dequantize": dequantize}
