"""Candidates that lose too much are stopped early, and others hardly ever."""

from __future__ import annotations

import numpy as np
import pytest

from lprc.compiler.searching.sequential import ERROR, loses_too_much

SAMPLES = 400


def stopped_at(generator, lost, won, max_drop):
    """After how many of `SAMPLES` a candidate is stopped; None where it is not."""
    draws = generator.random(SAMPLES)
    reference = (draws < 0.9) | (draws < lost)
    ours = np.where(draws < lost, False, reference)
    ours = np.where(draws > 1 - won, True, ours)
    for count in range(20, SAMPLES + 1, 20):
        if loses_too_much(list(reference[:count]), list(ours[:count]), max_drop, total=SAMPLES):
            return count
    return None


@pytest.mark.parametrize(("lost", "won"), [(0.005, 0.0), (0.03, 0.025), (0.0, 0.0)])
def test_what_loses_no_more_than_it_may_is_hardly_ever_stopped(lost, won):
    generator = np.random.default_rng(1)
    # The set itself may lose more than the population that it is drawn from; then it is stopped
    # rightly. So those are counted that are stopped though they end within the bound.
    wrongly = 0
    for _ in range(150):
        draws = generator.random(SAMPLES)
        reference = draws < 0.9
        ours = np.where(draws < lost, False, np.where(draws > 1 - won, True, reference))
        if reference.mean() - ours.mean() > 0.005:
            continue
        wrongly += any(
            loses_too_much(list(reference[:n]), list(ours[:n]), 0.005, total=SAMPLES)
            for n in range(20, SAMPLES + 1, 20)
        )
    assert wrongly / 150 <= 3 * ERROR


def test_what_loses_much_is_stopped_early():
    generator = np.random.default_rng(2)
    ends = [stopped_at(generator, 0.15, 0.0, 0.005) for _ in range(50)]
    assert all(end is not None for end in ends)
    assert np.median(ends) <= SAMPLES / 4


def test_it_is_stopped_where_it_can_not_be_otherwise():
    right = [True] * 10
    assert loses_too_much(right, [False] * 10, 0.005, total=12)
    assert not loses_too_much(right, [False] * 10, 0.005, total=40)
    assert not loses_too_much(right, right, 0.0, total=10)
