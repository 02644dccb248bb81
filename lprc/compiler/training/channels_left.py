"""Which positions of a weight pruning left, told by comparing it with the weight before."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Positions = tuple[NDArray[np.int64], ...]


def channels_left(pruned: NDArray[Any], whole: NDArray[Any]) -> Positions | None:
    """The positions along each axis of `whole` that `pruned` consists of.

    An element whose number occurs once in `whole` tells its own positions, so one such element for
    each position is enough.

    Args:
        pruned: A weight behind ``prune-channels``, its numbers unchanged.
        whole: The same weight in front of it, of the same rank.

    Returns:
        int64 arrays, one an axis, such that ``whole[np.ix_(*positions)]`` is `pruned`; None where
        it is no such part, or equal numbers leave that open.
    """
    if pruned.ndim != whole.ndim or not pruned.size:
        return None
    values, first, counts = np.unique(whole, return_index=True, return_counts=True)
    nearest = np.searchsorted(values, pruned).clip(max=len(values) - 1)
    telling = (values[nearest] == pruned) & (counts[nearest] == 1)
    places = np.unravel_index(first[nearest], whole.shape)
    positions = []
    for axis, place in enumerate(places):
        by_position = np.moveaxis(telling, axis, 0).reshape(pruned.shape[axis], -1)
        if not by_position.any(axis=1).all():
            return None
        column = by_position.argmax(axis=1)
        along = np.moveaxis(place, axis, 0).reshape(pruned.shape[axis], -1)
        positions.append(along[np.arange(len(column)), column].astype(np.int64))
    if not np.array_equal(whole[np.ix_(*positions)], pruned):
        return None
    return tuple(positions)
