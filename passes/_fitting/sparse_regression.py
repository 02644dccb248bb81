"""Which weights of a linear layer to keep, and what they become so that its output moves least.

Each row w of a layer is a problem of its own: minimise ``(w - t) H (w - t)^T`` over the w that are
zero outside a support. All rows of a chunk are solved side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.int64]

CHUNK = 1 << 20
"""The most elements of tableaux that are worked on at once: 8 MiB, which a cache can hold."""

CHOICES = 500
"""The most ways to choose within a group that `exchange` tries; beyond, it does nothing."""

EXACT_STEPS = 2e10
"""Steps that exact methods should take in one layer, about twenty seconds: the cube of a row's
length, for each row."""

WORTH = 1e-3
"""The fraction of a row's error that an exchange must gain; it also keeps rounding from cycling."""


@dataclass(frozen=True)
class Regression:
    """What the kept weights of rows should make up for.

    Attributes:
        target: t, float64 [rows, size].
        moment: H, float64 [size, size] or [rows, size, size], positive definite.
    """

    target: Float
    moment: Float

    def chunk(self, rows: slice) -> Regression:
        """Some of the rows."""
        moment = self.moment if self.moment.ndim == 2 else self.moment[rows]
        return Regression(self.target[rows], moment)

    def error(self, weight: Float) -> Float:
        """``(w - t) H (w - t)^T`` of each row: float64 [rows]."""
        delta = (weight - self.target)[:, None]
        return np.asarray((delta @ self.moment @ delta.transpose(0, 2, 1))[:, 0, 0])


def solve(problem: Regression, kept: Mask) -> Float:
    """The best weights on the support `kept` [rows, size]: zeros elsewhere, float64."""
    result = np.zeros(problem.target.shape)
    for part in _chunks(problem):
        result[part] = _Tableau.on_support(problem.chunk(part), kept[part]).weight
    return result


def remove(problem: Regression, groups: Index, keep: int) -> Mask:
    """Remove one weight of each row after the other until no group has more than `keep`.

    Always the weight whose loss the others make up for best: exact Optimal Brain Compression
    (Frantar, Singh and Alistarh, "Optimal Brain Compression", NeurIPS 2022) with its N:M
    constraint.

    Args:
        problem: The problem to solve.
        groups: The members of each group: int64 [groups, members]; disjoint.
        keep: How many of each group may stay.

    Returns:
        What is kept: bool [rows, size].
    """
    kept: Mask = np.ones(problem.target.shape, bool)
    group_of = np.full(problem.target.shape[1], -1)
    group_of[groups] = np.arange(len(groups))[:, None]
    for part in _chunks(problem):
        tableau = _Tableau.full(problem.chunk(part))
        rows = np.arange(len(tableau.inside))
        left = np.full((len(rows), len(groups)), groups.shape[1])
        free = np.broadcast_to(group_of >= 0, tableau.inside.shape).copy()
        for _ in range(len(groups) * (groups.shape[1] - keep)):
            worst = np.argmin(np.where(free, tableau.loss(), np.inf), axis=1)
            tableau.toggle(rows, worst)
            free[rows, worst] = False
            full = group_of[worst]
            left[rows, full] -= 1
            done = left[rows, full] == keep
            free[rows[done, None], groups[full[done]]] = False
        kept[part] = tableau.inside
    return kept


def removal_order(problem: Regression, count: int) -> tuple[Index, Float]:
    """The weights of each row in the order in which exact OBC removes them, and what each costs.

    Returns:
        int64 and float64 [rows, count].
    """
    shape = (len(problem.target), count)
    order, cost = np.zeros(shape, np.int64), np.zeros(shape)
    for part in _chunks(problem):
        tableau = _Tableau.full(problem.chunk(part))
        rows = np.arange(len(tableau.inside))
        for step in range(count):
            loss = np.where(tableau.inside, tableau.loss(), np.inf)
            worst = np.argmin(loss, axis=1)
            order[part, step], cost[part, step] = worst, loss[rows, worst]
            tableau.toggle(rows, worst)
    return order, cost


def exchange(
    problem: Regression, kept: Mask, groups: Index, keep: int, *, sweeps: int = 10
) -> Mask:
    """Choose again in one group after the other, the best of all ways, until nothing changes.

    The error of no row grows.

    Args:
        problem: The problem to solve.
        kept: Where to start: bool [rows, size], `keep` in each group.
        groups: int64 [groups, members]; disjoint.
        keep: How many of each group stay.
        sweeps: Passes over all groups at most.
    """
    if math.comb(groups.shape[1], keep) > CHOICES:
        return np.array(kept)
    result: Mask = kept.copy()
    for part in _chunks(problem):
        tableau = _Tableau.on_support(problem.chunk(part), kept[part])
        for _ in range(sweeps):
            changed = [tableau.choose(members, keep) for members in groups]
            if not any(changed):
                break
        result[part] = tableau.inside
    return result


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


class _Tableau:
    """The normal equations of rows, swept for the weights inside their supports.

    The SWEEP operator (Goodnight, "A Tutorial on the SWEEP Operator", The American Statistician,
    1979) takes one variable of a regression in or out in O(size^2). With S inside, the last column
    has the weights of S, and elsewhere the residual's products; the block of S has ``-H_SS^-1``,
    the rest the Schur complement.
    """

    def __init__(self, table: Float, inside: Mask) -> None:
        self.table = table
        self.inside = inside

    @classmethod
    def full(cls, problem: Regression) -> _Tableau:
        rows, size = problem.target.shape
        table = np.zeros((rows, size + 1, size + 1))
        table[:, :size, :size] = -np.linalg.inv(problem.moment)
        table[:, :size, size] = table[:, size, :size] = problem.target
        return cls(table, np.ones((rows, size), bool))

    @classmethod
    def on_support(cls, problem: Regression, kept: Mask) -> _Tableau:
        rows, size = problem.target.shape
        moment = np.broadcast_to(problem.moment, (rows, size, size))
        table = np.empty((rows, size + 1, size + 1))
        product = (problem.target[:, None] @ moment)[:, 0]
        for row in range(rows):
            table[row] = _swept(moment[row], product[row], problem.target[row], kept[row])
        return cls(table, kept.copy())

    @property
    def weight(self) -> Float:
        return np.asarray(np.where(self.inside, self.table[:, :-1, -1], 0.0))

    def loss(self) -> Float:
        """By how much the error grows without each weight that is inside."""
        diagonal = np.einsum("rkk->rk", self.table)[:, :-1]
        return np.asarray(self.table[:, :-1, -1] ** 2 / np.abs(diagonal))

    def toggle(self, rows: Index, which: Index) -> None:
        """Take one variable of each of `rows` in or out."""
        pivot = self.table[rows, which, which]
        column = self.table[rows, :, which]
        scaled = column / pivot[:, None]
        update = column[:, :, None] * scaled[:, None, :]
        if len(rows) == len(self.table):
            self.table -= update
        else:
            self.table[rows] -= update
        sign = np.where(self.inside[rows, which], -1.0, 1.0)
        edge = scaled * sign[:, None]
        self.table[rows, :, which] = edge
        self.table[rows, which, :] = edge
        self.table[rows, which, which] = -1 / pivot
        self.inside[rows, which] ^= True

    def choose(self, members: Index, keep: int) -> bool:
        """The best `keep` of `members` for each row, all else as it is; whether any changed."""
        block = _taken_out(
            self.table[:, np.append(members, -1)[:, None], np.append(members, -1)],
            self.inside[:, members],
        )
        ways = list(itertools.combinations(range(len(members)), keep))
        gains = np.stack([_gain(block, way) for way in ways], axis=1)
        patterns = np.zeros((len(ways), len(members)), bool)
        for index, way in enumerate(ways):
            patterns[index, list(way)] = True
        now = self.inside[:, members]
        current = np.argmax((patterns == now[:, None]).all(axis=2), axis=1)
        best = np.argmax(gains, axis=1)
        rows = np.arange(len(now))
        gained = gains[rows, best] - gains[rows, current]
        better = gained > WORTH * np.abs(self.table[:, -1, -1])
        differs = (patterns[best] != now) & better[:, None]
        # Out before in: the reverse could sweep for more variables than the data tell apart.
        for going in (True, False):
            for position, member in enumerate(members):
                where = np.flatnonzero(differs[:, position] & (now[:, position] == going))
                if where.size:
                    self.toggle(where, np.full(where.size, member))
        return bool(better.any())


def _swept(moment: Float, product: Float, target: Float, kept: Mask) -> Float:
    size = len(target)
    table = np.empty((size + 1, size + 1))
    inside = np.flatnonzero(kept)
    outside = np.append(np.flatnonzero(~kept), size)
    augmented = np.empty((size + 1, size + 1))
    augmented[:size, :size] = moment
    augmented[:size, size] = augmented[size, :size] = product
    augmented[size, size] = product @ target
    inverse = np.linalg.inv(moment[np.ix_(inside, inside)])
    beside = inverse @ augmented[np.ix_(inside, outside)]
    table[np.ix_(inside, inside)] = -inverse
    table[np.ix_(inside, outside)] = beside
    table[np.ix_(outside, inside)] = beside.T
    table[np.ix_(outside, outside)] = (
        augmented[np.ix_(outside, outside)] - augmented[np.ix_(outside, inside)] @ beside
    )
    return table


def _taken_out(block: Float, inside: Mask) -> Float:
    """Small tableaux [rows, members + 1, members + 1] with all members swept out."""
    block = block.copy()
    for position in range(inside.shape[1]):
        rows = np.flatnonzero(inside[:, position])
        pivot = block[rows, position, position]
        column = block[rows, :, position]
        scaled = column / pivot[:, None]
        block[rows] -= column[:, :, None] * scaled[:, None, :]
        block[rows, :, position] = block[rows, position, :] = -scaled
        block[rows, position, position] = -1 / pivot
    return block


def _gain(block: Float, way: tuple[int, ...]) -> Float:
    """By how much the error falls with the members `way` inside: float64 [rows]."""
    chosen = np.array(way, np.int64)
    product = block[:, chosen, -1]
    found = np.linalg.solve(block[:, chosen[:, None], chosen], product[:, :, None])[:, :, 0]
    return np.asarray(np.einsum("rk,rk->r", product, found))


def _chunks(problem: Regression) -> Iterator[slice]:
    rows, size = problem.target.shape
    step = max(1, CHUNK // (size + 1) ** 2)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
