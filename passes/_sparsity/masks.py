"""Masks: which weights of a layer's rows stay, by one criterion or another."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lprc.core.graph.weight_sparsity import Pattern
from lprc.passes._fitting.sparse_regression import (
    EXACT_STEPS,
    Regression,
    removal_order,
    remove,
)

Criterion = Literal["magnitude", "wanda", "sparsegpt"]
Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


def is_exact(rows: int, size: int) -> bool:
    """Whether rows are few and short enough for exact removal."""
    return rows * float(size) ** 3 <= EXACT_STEPS


def largest(score: Float, groups: NDArray[np.int64], pattern: Pattern) -> Mask:
    """Those with the largest score in each group: bool [rows, size]."""
    order = np.argsort(-score[:, groups], axis=2, kind="stable")[:, :, : pattern.kept]
    kept = np.zeros(score.shape, bool)
    chosen = np.take_along_axis(np.broadcast_to(groups, (len(score), *groups.shape)), order, axis=2)
    kept[np.arange(len(score))[:, None], chosen.reshape(len(score), -1)] = True
    return kept


def largest_of_all(score: Float, ratio: float) -> Mask:
    """All but the fraction `ratio` with the smallest score, of the whole layer."""
    order = np.argsort(score, axis=None, kind="stable")
    kept = np.ones(score.size, bool)
    kept[order[: round(ratio * score.size)]] = False
    return kept.reshape(score.shape)


def exact(problem: Regression, groups: NDArray[np.int64], pattern: Pattern, *, sweeps: int) -> Mask:
    """By Optimal Brain Compression, refined by exchanges within groups."""
    return remove(problem, groups, pattern.kept, sweeps=sweeps)


def exact_of_all(problem: Regression, ratio: float) -> Mask:
    """By Optimal Brain Compression: each row's removals in order, then the cheapest of all rows."""
    rows, size = problem.product.shape
    order, cost = removal_order(problem, size)
    # A row's removals come in order, so each must count for no less than the one before it.
    cheapest = np.argsort(np.maximum.accumulate(cost, axis=1), axis=None, kind="stable")
    gone = np.zeros(rows * size, bool)
    gone[cheapest[: round(ratio * rows * size)]] = True
    kept = np.ones((rows, size), bool)
    np.put_along_axis(kept, order, ~gone.reshape(rows, size), axis=1)
    return kept
