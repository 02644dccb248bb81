"""What is lost where weights are computed anew and stored in their own type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.core.passing.contract import LARGEST_ACTIVATION

Float = NDArray[np.float64]

OVERFLOWS = "the new weights would overflow"
UNDERFLOWS = "the new weights would lose digits: they are too small for their type"


def stored(array: Float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """`array` in `dtype`; infinite where it overflows."""
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def lost(array: Float, dtype: np.dtype[Any]) -> Float:
    """How far each element of `array` stored in `dtype` is off, beyond a rounding of its digits.

    Returns:
        float64, the shape of `array`: 0 where digits were rounded as always, infinite where it
        overflows.
    """
    magnitudes, limits = np.abs(array), np.finfo(dtype)
    is_ordinary = (
        magnitudes.size
        and magnitudes.min() >= limits.smallest_normal
        and magnitudes.max() <= limits.max
    )
    if is_ordinary:  # as most weights are
        return np.zeros(array.shape)
    with np.errstate(invalid="ignore"):
        error = np.abs(stored(array, dtype).astype(np.float64) - array)
        is_rounding = error <= limits.eps * magnitudes
    error = np.where(np.isfinite(array) & np.isfinite(error), error, np.inf)
    return np.where(is_rounding & np.isfinite(error), 0.0, error)


def is_absorbed(
    row_sums: Float, bias: Float, dtype: np.dtype[Any], largest: float = LARGEST_ACTIVATION
) -> NDArray[np.bool_]:
    """Where what a row of weights adds to a bias is rounded away for every activation allowed.

    Args:
        row_sums: float64 [channels], the sum of ``|weight|`` of each row.
        bias: float64 [channels].
        dtype: What the sums are computed in.
        largest: The largest activation allowed.
    """
    limits = np.finfo(dtype)
    return np.asarray(
        row_sums * min(largest, float(limits.max)) <= float(limits.eps) / 4 * np.abs(bias)
    )


def why_not_storable(
    row_losses: Float, bias: Float, dtype: np.dtype[Any], largest: float | None = None
) -> str | None:
    """Why a linear operator can't have new weights and that bias in `dtype`; None where it can.

    Args:
        row_losses: float64 [output channels], the sum of what is `lost` of each row of weights.
        bias: float64 [output channels], not yet stored.
        dtype: The type of the weights, the bias and the sums.
        largest: The largest activation there can be; what then is lost below float32's smallest
            normal number is as good as nothing. None for all that a contract allows.
    """
    of_bias = lost(bias, dtype)
    if largest is not None:
        nothing = float(np.finfo(np.float32).smallest_normal)
        row_losses = np.where(row_losses * largest <= nothing, 0.0, row_losses)
        of_bias = np.where(of_bias <= nothing, 0.0, of_bias)
    if np.isinf(row_losses).any() or np.isinf(of_bias).any():
        return OVERFLOWS
    if of_bias.any() or not is_absorbed(row_losses, bias, dtype).all():
        return UNDERFLOWS
    return None
