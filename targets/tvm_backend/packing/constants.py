"""Operators on constants, computed while packing."""

from __future__ import annotations

from typing import Any

import numpy as np

from lprc.targets.tvm_backend.packed import Integers, Plain, Value
from lprc.targets.tvm_backend.packing.expressions import numbers, shape_of
from lprc.targets.tvm_backend.packing.packer import Handler, Packer


def permute(packer: Packer, call: Any) -> Value | None:
    """Transpose of a weight; its scales follow their axis."""
    array = packer.array(call.args[0])
    if array is None:
        return None
    axes = call.attrs.axes
    order = list(range(array.ndim))[::-1] if axes is None else numbers(axes)
    value = packer.values.get(call.args[0])
    if isinstance(value, Integers):
        at = order.index(value.axis) if value.scale.size > 1 else 0
        return Integers(value.values.transpose(order), value.scale, value.zero_point, at)
    return Plain(packer.constant(array.transpose(order)))


def is_nan(packer: Packer, call: Any) -> Value | None:
    """Of a bound of Clip."""
    array = packer.array(call.args[0])
    return None if array is None else Plain(packer.constant(np.isnan(array)))


def where(packer: Packer, call: Any) -> Value | None:
    """Of a bound of Clip."""
    arrays = [packer.array(each) for each in call.args]
    if any(each is None for each in arrays):
        return None
    condition, yes, no = (np.asarray(each) for each in arrays)
    return Plain(packer.constant(np.where(condition, yes, no).astype(yes.dtype)))


def reshaped(packer: Packer, call: Any) -> Value | None:
    """Reshape, Squeeze and Unsqueeze of a constant."""
    array, shape = packer.array(call.args[0]), shape_of(call)
    if array is None or shape is None:
        return None
    return Plain(packer.constant(array.reshape(shape)))


HANDLERS: dict[str, Handler] = {"relax.isnan": is_nan, "relax.where": where}
