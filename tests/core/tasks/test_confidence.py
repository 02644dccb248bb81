"""Intervals and paired tests, against figures from the literature and against one another."""

from __future__ import annotations

import numpy as np
import pytest

from lprc.core.tasks.confidence import difference, interval, mcnemar, wilson


def mean(records):
    return float(np.mean([record[0] for record in records]))


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
    ],
)  # the last two: Newcombe, Statistics in Medicine 17 (1998), table I, method 3
def test_wilsons_interval(right, total, low, high):
    found = wilson(right, total)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("gained", "lost", "p"), [(0, 0, 1.0), (1, 1, 1.0), (0, 6, 0.03125), (5, 1, 0.21875)]
)
def test_mcnemars_exact_test(gained, lost, p):
    assert mcnemar(gained, lost) == pytest.approx(p)


def test_a_bootstrap_interval_of_shares_is_near_wilsons():
    records = [np.array([float(index < 150)]) for index in range(200)]
    ours = interval(mean, records, shares=False)
    theirs = interval(mean, records, shares=True)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_one_plate_is_no_gain_and_many_are():
    base = [np.array([1.0])] * 100
    one_lost = [np.array([0.0]), *base[1:]]
    many_lost = [np.array([0.0])] * 12 + base[12:]
    little = difference(mean, one_lost, base, shares=True)
    much = difference(mean, many_lost, base, shares=True)
    assert (little.value, little.is_significant) == (pytest.approx(-0.01), False)
    assert (much.value, much.is_significant) == (pytest.approx(-0.12), True)
    assert much.interval.high < 0
    assert str(much).startswith("-0.1200 (95 % interval -0.")


def test_the_same_seed_gives_the_same_interval():
    records = [np.array([value]) for value in np.random.default_rng(1).random(50)]
    first = interval(mean, records, shares=False)
    assert first == interval(mean, records, shares=False)
    assert first.low < mean(records) < first.high


def test_samples_that_are_not_the_same_are_refused():
    with pytest.raises(ValueError, match="2 and 1 samples"):
        difference(mean, [np.ones(1)] * 2, [np.ones(1)], shares=True)
