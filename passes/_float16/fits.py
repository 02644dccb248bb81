"""Whether numbers fit float16."""

from __future__ import annotations

import numpy as np

from lprc.core.graph.annotations import Range

SMALLEST_NORMAL = 2.0**-14
"""Below it float16 loses digits."""

LARGEST = 65504.0
"""The largest float16."""

ROUNDING = 2.0**-8
"""A weight may move by this part of its norm: sixteen times what rounding to float16 moves it."""


def range_misfit(calibrated_range: Range | None, margin: float) -> str | None:
    """Why activations of a range do not fit; None if they fit or nothing is known.

    Args:
        calibrated_range: Of the activations, as calibration found it; None if it did not look.
        margin: How many times that range the activations may take at run time.
    """
    if calibrated_range is None:
        return None
    if calibrated_range.magnitude * margin > LARGEST:
        return "values exceed float16"
    return "values underflow float16" if 0 < calibrated_range.magnitude < SMALLEST_NORMAL else None


def weight_misfit(array: np.ndarray) -> str | None:
    """Why a float32 weight does not fit; Inf and NaN do."""
    finite = array[np.isfinite(array)].astype(np.float64)
    if finite.size == 0:
        return None
    if float(np.abs(finite).max()) > LARGEST:
        return "a weight exceeds float16"
    moved = finite - finite.astype(np.float16)
    # Not np.linalg.norm: BLAS waits for threads that others use.
    is_lost = float(np.square(moved).sum()) > ROUNDING**2 * float(np.square(finite).sum())
    return "a weight underflows float16" if is_lost else None
