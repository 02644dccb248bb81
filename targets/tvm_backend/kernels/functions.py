"""Functions of one float32 number that LLVM can vectorise, unlike calls of the C library."""

from __future__ import annotations

from typing import Any

from tvm import tirx

ROUND = 12582912.0
"""1.5 * 2 ** 23: adding it rounds to the nearest integer, ties to even, into the low bits."""


def number(value: float) -> Any:
    """A float32 constant."""
    return tirx.const(float(value), "float32")


def exponential(x: Any) -> Any:
    """e ** x within 2 units in the last place; Cephes' polynomial (Moshier, 1989).

    Below −87 it is e ** −87 (1.6e−38), above 88 e ** 88.
    """
    x = tirx.max(tirx.min(x, number(88.0)), number(-87.0))
    shifted = x * number(1.44269504088896341) + number(ROUND)
    # Not `shifted - ROUND`, which LLVM is allowed to reorder.
    power_of_two = tirx.reinterpret("int32", shifted) - tirx.const(0x4B400000, "int32")
    whole = power_of_two.astype("float32")
    x = x - whole * number(0.693359375)
    x = x - whole * number(-2.12194440e-4)
    power = number(1.9875691500e-4)
    for factor in (
        1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
    ):  # fmt: skip
        power = power * x + number(factor)
    power = power * x * x + x + number(1.0)
    exponent = (power_of_two + tirx.const(127, "int32")) << tirx.const(23, "int32")
    return power * tirx.reinterpret("float32", exponent)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e ** −x)."""
    return number(1.0) / (number(1.0) + exponential(number(0.0) - x))


def tanh(x: Any) -> Any:
    """1 − 2 / (e ** 2x + 1), within 1.2e−7."""
    return number(1.0) - number(2.0) / (exponential(x + x) + number(1.0))


def quantised(x: Any, zero_point: int, offset: int, dtype: str) -> Any:
    """uint8: saturate(round(x) + zero point) + offset, ties to even.

    ``tirx.nearbyint`` would make TVM run the loop lane by lane; hence `ROUND`.

    Args:
        x: float32, in steps of the scale.
        zero_point: Of `dtype`.
        offset: 128 for int8, 0 for uint8.
        dtype: ``int8`` or ``uint8``: where it saturates.
    """
    low, high = (0, 255) if dtype == "uint8" else (-128, 127)
    x = tirx.min(tirx.max(x, number(low - zero_point)), number(high - zero_point))
    bits = tirx.reinterpret("int32", x + number(ROUND))
    return (bits + tirx.const(zero_point + offset, "int32")).astype("uint8")
