"""What is lost where new weights are stored in their own type."""

from __future__ import annotations

import numpy as np
import pytest

from lprc.core.passing import precision

FLOAT16, FLOAT32, FLOAT64 = (np.dtype(f"float{bits}") for bits in (16, 32, 64))


@pytest.mark.parametrize("dtype", [FLOAT16, FLOAT32, FLOAT64], ids=str)
def test_a_rounding_of_digits_is_no_loss(dtype):
    limits = np.finfo(dtype)
    whole_range = np.geomspace(float(limits.smallest_normal), float(limits.max) * 0.999, 3000) / 1.7
    array = whole_range[whole_range >= limits.smallest_normal]
    assert not precision.lost(array, dtype).any()
    assert not precision.lost(-array, dtype).any()
    assert not precision.lost(np.array([float(limits.max), 0.0]), dtype).any()


@pytest.mark.parametrize("others", [[], [1.0], [0.0]], ids=["alone", "beside one", "beside zero"])
@pytest.mark.parametrize("value", [1e-9, 3.3e-6, -3.3e-6], ids=str)
def test_what_is_too_small_loses_digits(value, others):
    array = np.array([value, *others])
    assert precision.lost(array, FLOAT16)[0] == abs(float(np.float16(value)) - value)
    assert not precision.lost(array, FLOAT16)[1:].any()


@pytest.mark.parametrize("value", [7e4, -7e4, np.inf, np.nan], ids=str)
def test_what_is_too_large_is_lost(value):
    assert np.isinf(precision.lost(np.array([value, 1.0]), FLOAT16)).tolist() == [True, False]


def test_of_nothing_nothing_is_lost():
    assert precision.lost(np.zeros((0, 3)), FLOAT32).shape == (0, 3)
