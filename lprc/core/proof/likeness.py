"""Pairs of terms that are the same but for the names of their variables."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from lprc.core.proof.terms import LEAVES, NO_LEAF, OPAQUE_MARK, ZERO, Terms


def is_opaque(operator: Hashable) -> bool:
    """Whether a term is a result of an uninterpreted function of whole tensors."""
    return isinstance(operator, tuple) and operator[-1] == OPAQUE_MARK


class Likeness:
    """Shapes of terms: two pairs of one shape hold for the same reason.

    A variable, a row and a result of an opaque function are where they first occur. What is proved
    of a pair for arbitrary ones is proved of all pairs of its shape.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._rows_alike: dict[tuple[int, ...], int] = {}
        self._shapes: dict[Hashable, int] = {}

    def groups(self, pairs: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Pairs [n, 2] by shape, those whose terms have one leaf each; all others by themselves."""
        leaves = np.array(self._terms.leaf, np.int64)[pairs]
        shapes = np.array(self._terms.shape, np.int64)[pairs]
        simple = (leaves != LEAVES).all(axis=1)
        same = np.where((leaves == NO_LEAF).any(axis=1), 2, leaves[:, 0] == leaves[:, 1])
        keys = np.column_stack([shapes, same])[simple]
        _, which = np.unique(keys, axis=0, return_inverse=True)
        order = np.argsort(which.reshape(-1), kind="stable")
        cuts = np.flatnonzero(np.diff(which.reshape(-1)[order])) + 1
        alike = np.split(pairs[simple][order], cuts) if len(order) else []
        return [*alike, *(pair[None, :] for pair in pairs[~simple])]

    def of_pair(self, first: int, second: int) -> Hashable:
        """The shape of a pair, a row being a row whatever is in it."""
        return tuple(_Walk(self._terms).pair(first, second))

    def in_full(self, first: int, second: int) -> Hashable:
        """The shape of a pair down to the elements of its rows."""
        walk = _Walk(self._terms)
        tokens = walk.pair(first, second)
        if walk.has_leaves:  # a row may hold what stands beside it, too
            return (*tokens, *walk.elements())
        return (tuple(tokens), self._of_rows(tuple(walk.rows)))

    def _of_rows(self, rows: tuple[int, ...]) -> int:
        """The shape of some rows together: thousands of pairs have the same rows."""
        if rows not in self._rows_alike:
            walk = _Walk(self._terms)
            shape = (*(token for row in rows for token in walk.of(row)), *walk.elements())
            self._rows_alike[rows] = self._shapes.setdefault(shape, len(self._shapes))
        return self._rows_alike[rows]


class _Walk:
    """Terms as tokens; what occurs again is the number of its first occurrence."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._seen: dict[int, int] = {}
        self.rows: list[int] = []
        self.has_leaves = False

    def pair(self, first: int, second: int) -> list[Hashable]:
        return [*self.of(first), *self.of(second)]

    def elements(self) -> list[Hashable]:
        """What is in the rows that were met, and in those that are met there."""
        tokens: list[Hashable] = []
        for row in self.rows:  # which grows
            for element in self._terms.elements(row).tolist():
                tokens += self.of(element)
        return tokens

    def of(self, number: int) -> list[Hashable]:
        tokens: list[Hashable] = []
        pending = [number]
        while pending:
            number = pending.pop()
            place = self._seen.get(number)
            if place is not None:
                tokens.append(place)
                continue
            tokens.append(self._token(number))
            operator = self._terms.operators[number]
            if not is_opaque(operator):
                pending += self._terms.operands[number][::-1]
        return tokens

    def _token(self, number: int) -> Hashable:
        """What a term is, by itself; constants are their number in the table."""
        if number == ZERO or self._terms.is_constant(number):
            return ("constant", number)
        self._seen[number] = len(self._seen)
        if self._terms.is_row(number):
            if self._terms.is_constant_row(number):
                return ("constants", number)
            self.rows.append(number)
            return ("row", len(self._terms.elements(number)))
        operator = self._terms.operators[number]
        self.has_leaves |= self._terms.is_variable(number) or is_opaque(operator)
        if self._terms.is_variable(number):
            return "variable"
        if is_opaque(operator):
            assert isinstance(operator, tuple)
            return ("result", operator[0])
        return (operator, len(self._terms.operands[number]))
