"""Groups of a Conv must keep as many channels each: which of them go together for that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lprc.passes._pruning.trace import Trace
from lprc.passes._pruning.union import Ids

_ROUNDS = 8
"""Units joined for one Conv may upset another; after so many rounds those left over must stay."""


def balance(trace: Trace, components: Callable[[], Ids]) -> Ids:
    """Join what grouped Convs couple, and protect what can't be brought into balance.

    Of each group one channel goes with one of every other: the first with the first, and so on.
    Where channels are coupled already, for instance by a shuffle, what is whole in one group goes
    with what is as wide and whole in the others.

    Args:
        trace: Knows the arrays of labels to balance, one row for each group.
        components: The component of each atom as things stand.

    Returns:
        The components afterwards.
    """
    root = components()
    for _ in range(_ROUNDS):
        pairs = [pair for _, labels in trace.balanced for pair in _pairs(root[labels])]
        if not pairs:
            break
        trace.joined += pairs
        root = components()
    for node, labels in trace.balanced:
        uneven = _uneven(root[labels])
        if uneven.size:
            trace.protect(node, "the Conv's groups would differ", [uneven])
    return root


def _counts(units: Ids) -> tuple[Ids, NDArray[np.int64]]:
    """The distinct units of [groups, channels], and how many channels of each group are theirs."""
    found, place = np.unique(units, return_inverse=True)
    groups, width = units.shape
    cells = place.reshape(groups, width) + len(found) * np.arange(groups)[:, None]
    counts = np.bincount(cells.reshape(-1), minlength=groups * len(found))
    return found, counts.reshape(groups, len(found))


def _uneven(units: Ids) -> Ids:
    found, counts = _counts(units)
    return np.asarray(found[(counts != counts[:1]).any(axis=0)])


def _pairs(units: Ids) -> list[tuple[Ids, Ids]]:
    """Which units to join so that units that are whole in one group have partners in all others."""
    unit_ids, counts = _counts(units)
    whole = (counts > 0).sum(axis=0) == 1
    if len(units) == 1 or not whole.any():
        return []
    pairs = []
    # In the order of their channels, so that equal positions go together where they can.
    first = np.array([int(np.argmax(units.reshape(-1) == unit)) for unit in unit_ids[whole]])
    chosen = np.flatnonzero(whole)[np.argsort(first, kind="stable")]
    widths = counts[:, chosen].max(axis=0)
    for width in np.unique(widths):
        here = chosen[widths == width]
        of_group = [unit_ids[here[counts[group, here] > 0]] for group in range(len(units))]
        count = min(len(units_of_group) for units_of_group in of_group)
        pairs += [
            (of_group[0][:count], units_of_group[:count])
            for units_of_group in of_group[1:]
            if count
        ]
    return pairs
