"""Affine quantisation of ONNX's QuantizeLinear and DequantizeLinear, in numpy.

``q = clip(round(x / scale) + zero_point)``, rounding halves to even, and
``x' = (q - zero_point) * scale``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lprc.core.graph.annotations import Range

Scheme = Literal["symmetric", "unsigned", "asymmetric"]
"""How activations are quantised to eight bits.

- ``symmetric``: int8 with zero-point 0, clipped to -127..127 (TensorRT).
- ``unsigned``: uint8 with zero-point 0 where no value is negative, else as ``symmetric``: what
  VNNI's ``u8 * s8`` products are fastest with (OpenVINO, oneDNN).
- ``asymmetric``: uint8 with any zero-point, every value of the range used (ONNX Runtime).
"""

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

FLOOR = 2.0**-20
"""The smallest scale of a weight's channel, as a fraction of the tensor's largest.

A channel of almost nothing would otherwise get a scale so small that its products with an
activation's scale underflow, and that an int32 bias in units of it overflows.
"""


@dataclass(frozen=True)
class QuantParams:
    """A scale and a zero-point.

    Attributes:
        scale: float32, [] or one for each element of an axis.
        zero_point: int8 or uint8, of the same shape.
        low: The smallest integer used; -127 for symmetric ones, which leave out -128.
        high: The largest integer used.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[Any]
    low: int
    high: int


def activation_params(activation_range: Range, scheme: Scheme) -> QuantParams:
    """The parameters that cover `activation_range`; a range of only zero gets the scale 1."""
    if scheme == "asymmetric":
        low, high = min(activation_range.low, 0.0), max(activation_range.high, 0.0)
        scale = _scale((high - low) / 255)
        zero = np.clip(np.rint(-low / scale), 0, 255)
        return QuantParams(_array(scale), np.array(zero, np.uint8), 0, 255)
    if scheme == "unsigned" and activation_range.low >= 0:
        return QuantParams(
            _array(_scale(activation_range.high / 255)), np.array(0, np.uint8), 0, 255
        )
    return QuantParams(
        _array(_scale(activation_range.magnitude / 127)), np.array(0, np.int8), -127, 127
    )


def _array(scale: float) -> NDArray[np.float32]:
    return np.array(scale, np.float32)


def _scale(step: float) -> float:
    """`step` as a float32 that is a normal number; 1 where there is nothing to represent."""
    return float(np.float32(step)) if step > np.finfo(np.float32).tiny else 1.0


def weight_scale(
    weight: NDArray[Any], axis: int | None, *, bits: int = 8, block: int = 0
) -> NDArray[np.float32]:
    """The scales with which symmetric integers of `bits` bits cover `weight`.

    Args:
        weight: Any shape.
        axis: One scale for each element of it; None for one scale in all.
        bits: Of the integers: ``-(2**(bits-1) - 1)`` to ``2**(bits-1) - 1``.
        block: Elements of `axis` that share a scale, each other axis having its own; 0 for none.

    Returns:
        [], [size of axis], or with blocks the weight's shape with `axis` divided by `block`.
    """
    largest = np.abs(weight.astype(np.float64))
    if block:
        assert axis is not None
        largest = _blocks(largest, axis, block).max(axis=axis + 1)
    elif axis is None:
        largest = largest.max(initial=0.0)
    else:
        others = tuple(dimension for dimension in range(weight.ndim) if dimension != axis)
        largest = largest.max(axis=others, initial=0.0)
    steps = np.asarray(largest) / (2 ** (bits - 1) - 1)
    return floored(steps)


def floored(steps: NDArray[Any]) -> NDArray[np.float32]:
    """`steps` as scales: float32, none below `FLOOR` of the largest, 1 where all are zero."""
    top = float(np.max(steps, initial=0.0))
    if top <= np.finfo(np.float32).tiny:
        return np.ones(np.shape(steps), np.float32)
    return np.asarray(np.maximum(steps, top * FLOOR), np.float32)


def quantize_weight(
    weight: NDArray[Any],
    scale: NDArray[np.float32],
    axis: int | None,
    *,
    bits: int = 8,
    block: int = 0,
) -> NDArray[np.int8]:
    """The integers of `weight` on the grid of `scale`, as int8 whatever the number of bits."""
    limit = 2 ** (bits - 1) - 1
    wide = expand(scale, weight.shape, axis, block)
    return np.clip(np.rint(weight.astype(np.float64) / wide), -limit, limit).astype(np.int8)


def expand(
    scale: NDArray[Any], shape: tuple[int, ...], axis: int | None, block: int = 0
) -> NDArray[np.float64]:
    """`scale` in a shape that broadcasts against a tensor of `shape`."""
    wide = np.asarray(scale, np.float64)
    if block:
        assert axis is not None
        return np.take(np.repeat(wide, block, axis=axis), range(shape[axis]), axis=axis)
    if axis is None or wide.ndim == 0:
        return wide
    return wide.reshape([-1 if dimension == axis else 1 for dimension in range(len(shape))])


def fake_quantize(array: NDArray[Any], params: QuantParams) -> NDArray[np.float32]:
    """What is left of an activation after QuantizeLinear and DequantizeLinear."""
    scale, zero = np.float32(params.scale), int(params.zero_point)
    # float32 division and rounding, exactly as the operators do it.
    whole = np.rint(array.astype(np.float32) / scale) + np.float32(zero)
    clipped = np.clip(whole, np.float32(params.low), np.float32(params.high))
    return np.asarray((clipped - np.float32(zero)) * scale, np.float32)


def _blocks(array: NDArray[Any], axis: int, block: int) -> NDArray[Any]:
    """`array` with `axis` split into blocks; the last is filled up with zeros."""
    missing = -array.shape[axis] % block
    padding = [(0, missing if each == axis else 0) for each in range(array.ndim)]
    padded = np.pad(array, padding)
    shape = [*array.shape[:axis], padded.shape[axis] // block, block, *array.shape[axis + 1 :]]
    return padded.reshape(shape)
