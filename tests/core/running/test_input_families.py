"""Inputs of other kinds than the standard normal ones."""

from __future__ import annotations

import numpy as np

from lprc.core.running.input_families import FAMILIES, families

NORMAL = np.random.default_rng(0).standard_normal((2, 3, 50)).astype(np.float32)


def test_each_kind_is_what_its_name_says():
    made = {name: arrays["x"] for name, arrays in families({"x": NORMAL}, seed=1)}
    assert list(made) == list(FAMILIES)
    for array in made.values():
        assert (array.dtype, array.shape) == (NORMAL.dtype, NORMAL.shape)
    sparse = made["sparse, non-negative"]
    assert sparse.min() == 0
    assert 0.1 < (sparse > 0).mean() < 0.4
    assert np.abs(made["tiny"]).max() < 1e-2
    assert np.abs(made["large"]).max() > 50


def test_they_are_the_same_for_the_same_seed():
    first, second, other = (
        np.stack([arrays["x"] for _, arrays in families({"x": NORMAL}, seed=seed)])
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_integers_stay_and_alone_have_no_other_kinds():
    indices = np.arange(4)
    for _, arrays in families({"x": NORMAL.astype(np.float16), "i": indices}, seed=0):
        np.testing.assert_array_equal(arrays["i"], indices)
        assert arrays["x"].dtype == np.float16
    assert not list(families({"i": indices}, seed=0))
    assert not list(families({"s": [NORMAL]}, seed=0))
