"""Which weights of a linear layer to keep, and what they become so that its output moves least.

Each row w of a layer is a problem of its own: minimise ``(w - t) H (w - t)^T`` over the w that are
zero outside a support. All rows of a chunk are solved side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lprc.passes._fitting.tableau import Tableau, explained, taken_out

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.int64]

CHUNK = 1 << 21
"""The most elements of tables that are worked on at once: 16 MiB."""

CHOICES = 500
"""The most ways to choose within a group that are tried again; beyond, none is."""

EXACT_STEPS = 2e10
"""Steps that exact methods should take in one layer, about twenty seconds: the cube of a row's
length, for each row."""

SMALL = 64
"""The size of matrices that are inverted by LAPACK."""

WORTH = 1e-3
"""The fraction of a row's error that an exchange must gain; it also keeps rounding from cycling."""


@dataclass(frozen=True)
class Regression:
    """What the kept weights of rows should make up for.

    Attributes:
        product: ``H t``, float64 [rows, size].
        moment: H, float64 [size, size] or [rows, size, size], positive definite.
    """

    product: Float
    moment: Float

    @classmethod
    def towards(cls, target: Float, moment: Float) -> Regression:
        """The problem whose best weights are `target`."""
        return cls((target[:, None] @ moment)[:, 0], moment)

    @cached_property
    def target(self) -> Float:
        """t, the best weights: float64 [rows, size]."""
        if self.moment.ndim == 2:
            return np.asarray(np.linalg.solve(self.moment, self.product.T).T)
        return np.asarray(np.linalg.solve(self.moment, self.product[:, :, None])[:, :, 0])

    def chunk(self, rows: slice) -> Regression:
        """Some of the rows."""
        moment = self.moment if self.moment.ndim == 2 else self.moment[rows]
        return Regression(self.product[rows], moment)

    def tableau(self, rows: slice, groups: Index | None = None) -> Tableau:
        """The tables of some rows with everything inside."""
        inverse = self.inverse if self.moment.ndim == 2 else inverted(self.moment[rows])
        product = self.product[rows]
        inverse = np.broadcast_to(inverse, (*product.shape, product.shape[1]))
        return Tableau(inverse, (inverse @ product[:, :, None])[:, :, 0], groups)

    @cached_property
    def inverse(self) -> Float:
        """``H^-1``, of the moment's shape."""
        return inverted(self.moment)

    def error(self, weight: Float) -> Float:
        """``(w - t) H (w - t)^T`` of each row: float64 [rows]."""
        delta = (weight - self.target)[:, None]
        return np.asarray((delta @ self.moment @ delta.transpose(0, 2, 1))[:, 0, 0])


def inverted(moment: Float) -> Float:
    """The inverse of positive definite matrices [..., size, size].

    By halves, which is nearly all products of matrices; `numpy.linalg.inv` takes twice as
    long, because it knows of no symmetry.
    """
    size = moment.shape[-1]
    if size <= SMALL:
        return np.asarray(np.linalg.inv(moment))
    half = size // 2
    first = inverted(np.ascontiguousarray(moment[..., :half, :half]))
    beside = np.ascontiguousarray(moment[..., :half, half:])
    turned = first @ beside
    second = inverted(moment[..., half:, half:] - beside.swapaxes(-1, -2) @ turned)
    result = np.empty(moment.shape)
    corner = turned @ second
    result[..., half:, half:] = second
    result[..., :half, half:] = -corner
    result[..., half:, :half] = -corner.swapaxes(-1, -2)
    result[..., :half, :half] = first + corner @ turned.swapaxes(-1, -2)
    return result


def solve(problem: Regression, kept: Mask) -> Float:
    """The best weights on the support `kept` [rows, size]: zeros elsewhere, float64."""
    result = np.zeros(kept.shape)
    for part in chunks(problem.product.shape):
        chunk = problem.chunk(part)
        # Each row's own columns in front, as many for all: columns beyond them become unknowns of
        # their own, with the value zero.
        most = int(kept[part].sum(axis=1).max())
        columns = np.argsort(~kept[part], axis=1, kind="stable")[:, :most]
        inside = np.take_along_axis(kept[part], columns, axis=1)
        if chunk.moment.ndim == 2:
            moment = chunk.moment[columns[:, :, None], columns[:, None]]
        else:
            rows = np.arange(len(columns))[:, None, None]
            moment = chunk.moment[rows, columns[:, :, None], columns[:, None]]
        if not inside.all():
            moment *= inside[:, :, None] & inside[:, None]
            moment += np.eye(most) * ~inside[:, None]
        product = np.where(inside, np.take_along_axis(chunk.product, columns, axis=1), 0.0)
        solved = np.linalg.solve(moment, product[:, :, None])[:, :, 0]
        np.put_along_axis(result[part], columns, solved, axis=1)
    return result


def remove(problem: Regression, groups: Index, keep: int, *, sweeps: int = 0) -> Mask:
    """Remove one weight of each row after the other until no group has more than `keep`.

    Always the weight whose loss the others make up for best: exact Optimal Brain Compression
    (Frantar, Singh and Alistarh, "Optimal Brain Compression", NeurIPS 2022) with its N:M
    constraint. Behind that each row chooses again within the group that gains most by it, the best
    of all ways, until none gains; the error of no row grows.

    Args:
        problem: The problem to solve.
        groups: The members of each group: int64 [groups, members]; disjoint.
        keep: How many of each group may stay.
        sweeps: How often, on average, a row may choose again in each of its groups.

    Returns:
        What is kept: bool [rows, size].
    """
    kept: Mask = np.ones(problem.product.shape, bool)
    again = sweeps if math.comb(groups.shape[1], keep) <= CHOICES else 0
    for part in chunks(problem.product.shape):
        tableau = problem.tableau(part, groups)
        _remove(tableau, groups, keep)
        kept[part] = tableau.inside
        if again:
            kept[part] = _exchanged(tableau, groups, keep, again * len(groups))
    return kept


def _remove(tableau: Tableau, groups: Index, keep: int) -> None:
    """Take weights out until each group is full."""
    rows = np.arange(len(tableau.inside))
    group_of = np.full(tableau.inside.shape[1], -1)
    group_of[groups] = np.arange(len(groups))[:, None]
    left = np.full((len(rows), len(groups)), groups.shape[1])
    free = np.broadcast_to(group_of >= 0, tableau.inside.shape).copy()
    for _ in range(len(groups) * (groups.shape[1] - keep)):
        worst = np.argmin(np.where(free, tableau.loss(), np.inf), axis=1)
        tableau.toggle(worst)
        free[rows, worst] = False
        full = group_of[worst]
        left[rows, full] -= 1
        done = left[rows, full] == keep
        free[rows[done, None], groups[full[done]]] = False


def _exchanged(tableau: Tableau, groups: Index, keep: int, most: int) -> Mask:
    """What is kept when no row gains by another choice in any of its groups."""
    result: Mask = tableau.inside.copy()
    ways = np.array(list(itertools.combinations(range(groups.shape[1]), keep)))
    patterns = np.zeros((len(ways), groups.shape[1]), bool)
    np.put_along_axis(patterns, ways, True, axis=1)
    rows = np.arange(len(result))
    for _ in range(most):
        gain, way = _gains(tableau, groups, ways, patterns)
        best = np.argmax(gain, axis=1)
        index = np.arange(len(best))
        better = gain[index, best] > WORTH * np.abs(tableau.error)
        if not better.all():
            result[rows] = tableau.inside
            rows = rows[better]
            if not len(rows):
                return result
            tableau.keep(better)
            best, way, index = best[better], way[better], np.arange(len(rows))
        _choose(tableau, groups[best], patterns[way[index, best]])
    result[rows] = tableau.inside
    return result


def _gains(tableau: Tableau, groups: Index, ways: Index, patterns: Mask) -> tuple[Float, Index]:
    """By how much each group's best way lowers the error, and which it is: [rows, groups]."""
    inside = tableau.inside[:, groups]
    blocks, edges = taken_out(*tableau.blocks, inside)
    chosen = blocks[:, :, ways[:, :, None], ways[:, None]]
    gains = explained(chosen, edges[:, :, ways])
    current = (inside[:, :, None] == patterns).all(axis=3)
    best = np.argmax(gains, axis=2)
    gain = np.take_along_axis(gains, best[:, :, None], axis=2)[:, :, 0]
    return gain - gains[current].reshape(gain.shape), best


def _choose(tableau: Tableau, members: Index, wanted: Mask) -> None:
    """Bring one group of each row, of columns `members` [rows, members], to what is wanted."""
    now = np.take_along_axis(tableau.inside, members, axis=1)
    # Out before in: the reverse could sweep for more variables than the data tell apart.
    for moving in (now & ~wanted, wanted & ~now):
        first = np.argsort(~moving, axis=1, kind="stable")
        for step in range(int(moving.sum(axis=1).max())):
            which = np.take_along_axis(members, first[:, step : step + 1], axis=1)[:, 0]
            tableau.toggle(which, np.take_along_axis(moving, first[:, step : step + 1], 1)[:, 0])


def removal_order(problem: Regression, count: int) -> tuple[Index, Float]:
    """The weights of each row in the order in which exact OBC removes them, and what each costs.

    Returns:
        int64 and float64 [rows, count].
    """
    shape = (len(problem.product), count)
    order, cost = np.zeros(shape, np.int64), np.zeros(shape)
    for part in chunks(problem.product.shape):
        tableau = problem.tableau(part)
        rows = np.arange(len(tableau.inside))
        for step in range(count):
            loss = np.where(tableau.inside, tableau.loss(), np.inf)
            worst = np.argmin(loss, axis=1)
            order[part, step], cost[part, step] = worst, loss[rows, worst]
            tableau.toggle(worst)
    return order, cost


def pass_on(
    problem: Regression, groups: Index, keep: int, kept: Mask | None = None, *, chunk: int = 128
) -> Float:
    """Prune column by column and let the columns still to come make up for it.

    SparseGPT (Frantar and Alistarh, ICML 2023): one factorisation for all rows, so it can be used
    where exact methods take too long. A group is chosen when its first column is reached, by
    ``w^2 / [H^-1]_jj`` of the weights that are left.

    Args:
        problem: The problem to solve; `moment` is [size, size].
        groups: int64 [groups, members]; together they hold every column once.
        keep: How many of each group stay.
        kept: The weights that stay, where that is settled already: bool [rows, size].
        chunk: Columns after which the error is passed on to all that remain.

    Returns:
        The weights: float64 [rows, size].
    """
    order, members = groups.reshape(-1), groups.shape[1]
    upper = np.linalg.cholesky(np.linalg.inv(problem.moment[np.ix_(order, order)])).T
    weight = problem.target[:, order]
    inside = np.ones(weight.shape, bool) if kept is None else kept[:, order]
    diagonal = np.diag(upper)
    step = max(1, chunk // members) * members
    for start in range(0, len(order), step):
        stop = min(start + step, len(order))
        errors = np.zeros((len(weight), stop - start))
        for column in range(start, stop):
            if kept is None and column % members == 0:
                here = slice(column, column + members)
                gone = np.argsort((weight[:, here] / diagonal[here]) ** 2, axis=1)
                np.put_along_axis(inside[:, here], gone[:, : members - keep], False, axis=1)
            error = np.where(inside[:, column], 0.0, weight[:, column] / diagonal[column])
            weight[:, column:stop] -= np.outer(error, upper[column, column:stop])
            errors[:, column - start] = error
        weight[:, stop:] -= errors @ upper[start:stop, stop:]
    result = np.empty_like(weight)
    result[:, order] = np.where(inside, weight, 0.0)
    return result


def chunks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of rows, of `shape` [rows, size], whose tables are worked on at once."""
    rows, size = shape
    step = max(1, CHUNK // (size + 1) ** 2)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
