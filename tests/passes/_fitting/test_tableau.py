"""Tables whose changes wait, against the plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

from lprc.passes._fitting import tableau
from lprc.passes._fitting.sparse_regression import inverted
from lprc.passes._fitting.tableau import Tableau, explained, taken_out

SIZE, ROWS = 12, 3
GROUPS = np.arange(SIZE).reshape(-1, 4)


def problem(seed=0):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((ROWS, 40, SIZE))
    return x.swapaxes(1, 2) @ x / 40, generator.standard_normal((ROWS, SIZE))


def plain(moment, target, inside):
    """The table of one row by its definition: last column, diagonal and blocks of groups."""
    size = len(target)
    corner = np.zeros((size + 1, size + 1))
    corner[:size, :size] = moment
    corner[:size, size] = corner[size, :size] = moment @ target
    corner[size, size] = target @ moment @ target
    chosen, others = np.flatnonzero(inside), np.append(np.flatnonzero(~inside), size)
    inverse = np.linalg.inv(moment[np.ix_(chosen, chosen)])
    table = np.empty_like(corner)
    table[np.ix_(chosen, chosen)] = -inverse
    table[np.ix_(chosen, others)] = inverse @ corner[np.ix_(chosen, others)]
    table[np.ix_(others, chosen)] = table[np.ix_(chosen, others)].T
    table[np.ix_(others, others)] = (
        corner[np.ix_(others, others)]
        - corner[np.ix_(others, chosen)] @ inverse @ corner[np.ix_(chosen, others)]
    )
    return table


@pytest.mark.parametrize("pending", [1, 2, 5, 64])
@pytest.mark.parametrize("early", [False, True])
def test_many_sweeps_at_once_are_the_plain_formula(pending, early, monkeypatch):
    monkeypatch.setattr(tableau, "PENDING", pending)
    moment, target = problem()
    tables = Tableau(np.linalg.inv(moment), target, GROUPS)
    if early:
        assert tables.blocks[0].shape == (ROWS, 3, 4, 4)
    generator = np.random.default_rng(1)
    for _ in range(17):
        which = generator.integers(0, SIZE, ROWS)
        taking_part = generator.random(ROWS) < 0.7
        # The last variable of a row stays, so that there is something to compare.
        taking_part &= ~(tables.inside[np.arange(ROWS), which] & (tables.inside.sum(axis=1) < 2))
        tables.toggle(which, taking_part)
    blocks, edges = tables.blocks
    for row in range(ROWS):
        wanted = plain(moment[row], target[row], tables.inside[row])
        loss = wanted[:-1, -1] ** 2 / np.abs(np.diag(wanted)[:-1])
        np.testing.assert_allclose(tables.loss()[row], loss, rtol=1e-7, atol=1e-9)
        assert tables.error[row] == pytest.approx(wanted[-1, -1], rel=1e-7)
        for group, members in enumerate(GROUPS):
            np.testing.assert_allclose(
                blocks[row, group], wanted[np.ix_(members, members)], rtol=1e-7, atol=1e-9
            )
            np.testing.assert_allclose(edges[row, group], wanted[members, -1], rtol=1e-7, atol=1e-9)


def test_some_rows_go_on():
    moment, target = problem(2)
    tables = Tableau(np.linalg.inv(moment), target, GROUPS)
    tables.toggle(np.array([1, 2, 3]))
    tables.keep(np.array([True, False, True]))
    tables.toggle(np.array([5, 6]))
    for row, source in enumerate((0, 2)):
        wanted = plain(moment[source], target[source], tables.inside[row])
        assert tables.error[row] == pytest.approx(wanted[-1, -1], rel=1e-9)


def test_members_taken_out_and_what_they_explain():
    moment, target = problem(3)
    inside = np.random.default_rng(0).random((ROWS, 1, SIZE)) < 0.5
    tables = np.stack([plain(moment[row], target[row], inside[row, 0]) for row in range(ROWS)])
    blocks, edges = taken_out(tables[:, None, :-1, :-1], tables[:, None, :-1, -1], inside)
    np.testing.assert_allclose(blocks[:, 0], moment, rtol=1e-9, atol=1e-12)
    product = (moment @ target[:, :, None])[:, :, 0]
    np.testing.assert_allclose(edges[:, 0], product, rtol=1e-9, atol=1e-12)
    energy = (product * target).sum(axis=1)
    np.testing.assert_allclose(explained(moment, product), energy, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 130, 257])
def test_the_inverse_by_halves(size):
    x = np.random.default_rng(size).standard_normal((2, 3 * size, size))
    moment = x.swapaxes(1, 2) @ x / size
    found = inverted(moment)
    np.testing.assert_allclose(found @ moment, np.tile(np.eye(size), (2, 1, 1)), atol=1e-9)
    np.testing.assert_array_equal(inverted(moment[0]), found[0])
