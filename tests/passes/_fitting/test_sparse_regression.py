"""Exact Optimal Brain Compression against least squares and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lprc.passes._fitting import sparse_regression
from lprc.passes._fitting.sparse_regression import (
    Regression,
    pass_on,
    removal_order,
    remove,
    solve,
)


def problem(seed, rows=3, size=8, *, own=False):
    generator = np.random.default_rng(seed)
    shape = (rows, 3 * size, size) if own else (3 * size, size)
    x = generator.standard_normal(shape) @ generator.standard_normal((size, size))
    moment = np.swapaxes(x, -1, -2) @ x / x.shape[-2] + 1e-3 * np.eye(size)
    return Regression.towards(generator.standard_normal((rows, size)), moment)


def groups_of(size, members):
    return np.arange(size).reshape(-1, members)


def has_pattern(kept, members, keep):
    return bool((kept.reshape(len(kept), -1, members).sum(axis=2) == keep).all())


def moment_of(given, row):
    return given.moment if given.moment.ndim == 2 else given.moment[row]


def best_on(given, row, kept):
    """Least squares on a support, by the normal equations, and its error."""
    h, t = moment_of(given, row), given.target[row]
    w = np.zeros_like(t)
    inside = np.flatnonzero(kept)
    w[inside] = np.linalg.solve(h[np.ix_(inside, inside)], h[inside] @ t)
    return w, (w - t) @ h @ (w - t)


def optimum(given, row, members, keep):
    size = given.target.shape[1]
    ways = list(itertools.combinations(range(members), keep))
    found = np.inf
    for choice in itertools.product(ways, repeat=size // members):
        kept = np.zeros(size, bool)
        for index, way in enumerate(choice):
            kept[index * members + np.array(way)] = True
        found = min(found, best_on(given, row, kept)[1])
    return found


@pytest.mark.parametrize("own", [False, True])
@given(st.integers(0, 10_000), st.data())
@settings(max_examples=25, deadline=None)
def test_the_weights_on_a_support_are_least_squares(own, seed, data):
    given_problem = problem(seed, own=own)
    bits = data.draw(st.lists(st.booleans(), min_size=24, max_size=24))
    kept = np.array(bits).reshape(3, 8)
    found = solve(given_problem, kept)
    wanted = np.stack([best_on(given_problem, row, kept[row])[0] for row in range(3)])
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)
    assert not found[~kept].any()


def greedy(given, row, members, keep):
    """Optimal Brain Compression by its definition: try every removal with least squares."""
    size = given.target.shape[1]
    kept = np.ones(size, bool)
    while True:
        options = []
        for column in np.flatnonzero(kept):
            group = column // members * members
            if kept[group : group + members].sum() > keep:
                less = kept.copy()
                less[column] = False
                options.append((best_on(given, row, less)[1], column))
        if not options:
            return kept
        kept[min(options)[1]] = False


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("keep", "members"), [(2, 4), (1, 4), (1, 2), (3, 4)])
@pytest.mark.parametrize("seed", range(4))
def test_removal_is_greedy_by_least_squares(seed, keep, members, own):
    given_problem = problem(seed, own=own)
    kept = remove(given_problem, groups_of(8, members), keep)
    wanted = np.stack([greedy(given_problem, row, members, keep) for row in range(3)])
    assert np.array_equal(kept, wanted)
    assert has_pattern(kept, members, keep)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("keep", "members"), [(2, 4), (1, 4)])
def test_exchanges_come_near_the_optimum(keep, members, own):
    gaps = []
    for seed in range(12):
        given_problem = problem(seed, own=own)
        groups = groups_of(8, members)
        kept = remove(given_problem, groups, keep)
        better = remove(given_problem, groups, keep, sweeps=10)
        assert has_pattern(better, members, keep)
        first = given_problem.error(solve(given_problem, kept))
        second = given_problem.error(solve(given_problem, better))
        best = np.array([optimum(given_problem, row, members, keep) for row in range(3)])
        assert (second <= first * (1 + 1e-9)).all()
        assert (second >= best * (1 - 1e-6)).all()
        gaps += list(second / best - 1)
    assert np.median(gaps) < 0.02


def test_exchange_leaves_groups_with_too_many_choices(monkeypatch):
    given_problem = problem(0, rows=40)
    kept = remove(given_problem, groups_of(8, 4), 2)
    assert not np.array_equal(remove(given_problem, groups_of(8, 4), 2, sweeps=10), kept)
    monkeypatch.setattr(sparse_regression, "CHOICES", 5)
    assert np.array_equal(remove(given_problem, groups_of(8, 4), 2, sweeps=10), kept)


def test_the_order_of_removals_and_what_they_cost():
    given_problem = problem(1)
    order, cost = removal_order(given_problem, 8)
    assert np.array_equal(np.sort(order, axis=1), np.tile(np.arange(8), (3, 1)))
    for row in range(3):
        kept, total = np.ones(8, bool), 0.0
        for column, price in zip(order[row], cost[row], strict=True):
            kept[column] = False
            total += price
            assert best_on(given_problem, row, kept)[1] == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("chunk", [4, 8, 128])
@pytest.mark.parametrize(("keep", "members"), [(2, 4), (1, 4), (1, 2)])
def test_sparsegpt_makes_up_for_what_it_removes(keep, members, chunk):
    given_problem = problem(2, rows=5, size=16)
    groups = np.random.default_rng(0).permutation(16).reshape(-1, members)
    found = pass_on(given_problem, groups, keep, chunk=chunk)
    assert has_pattern(found[:, groups.reshape(-1)] != 0, members, keep)
    np.testing.assert_allclose(found, pass_on(given_problem, groups, keep), rtol=1e-9)
    plain = np.where(found != 0, given_problem.target, 0)
    assert given_problem.error(found).sum() < given_problem.error(plain).sum()
    best = solve(given_problem, found != 0)
    assert (given_problem.error(best) <= given_problem.error(found) * (1 + 1e-9)).all()


def test_sparsegpt_on_a_mask():
    given_problem = problem(3)
    kept = np.tile([True, False, True, False], (3, 2))
    found = pass_on(given_problem, groups_of(8, 4), 2, kept)
    assert np.array_equal(found != 0, kept)


@pytest.mark.parametrize("chunk", [1, 200, 1 << 20])
def test_rows_do_not_depend_on_how_many_are_solved_at_once(chunk, monkeypatch):
    given_problem = problem(4, rows=7)
    groups = groups_of(8, 4)
    wanted = remove(given_problem, groups, 2, sweeps=10)
    monkeypatch.setattr(sparse_regression, "CHUNK", chunk)
    assert np.array_equal(remove(given_problem, groups, 2, sweeps=10), wanted)
