"""Rows of constants, multiplied and compared."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lprc.core.proof.terms import Terms


@dataclass(frozen=True)
class Bound:
    """What a factor may be off by.

    Attributes:
        relative: Of its magnitude.
        absolute: Besides.
    """

    relative: Fraction = Fraction(0)
    absolute: Fraction = Fraction(0)

    def covers(self, difference: Fraction, magnitude: Fraction) -> bool:
        """Whether a factor of that magnitude may differ by that."""
        return abs(difference) <= self.relative * magnitude + self.absolute


EXACTLY = Bound()

Weighted: TypeAlias = tuple[Fraction, int]
"""A multiple of a row."""

_SMALLEST = 1e-150
"""Products of smaller numbers may underflow, which no bound on rounding covers."""


class Weights:
    """The rows of a table that are numbers."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._are: dict[int, bool] = {}
        self._exact: dict[int, list[Fraction]] = {}
        self._float64: dict[int, tuple[NDArray[np.float64], bool]] = {}

    def are(self, row: int) -> bool:
        """Whether all elements of a row are finite numbers."""
        if row not in self._are:
            terms = self._terms
            self._are[row] = terms.is_constant_row(row) and all(
                map(terms.is_number, terms.elements(row).tolist())
            )
        return self._are[row]

    def exact(self, row: int) -> list[Fraction]:
        """The elements of a row of numbers."""
        if row not in self._exact:
            values = (self._terms.value(number) for number in self._terms.elements(row).tolist())
            self._exact[row] = [value for value in values if value is not None]
        return self._exact[row]

    def agree(self, left: list[Weighted], right: list[Weighted], bound: Bound) -> bool:
        """Whether sums of multiples of rows agree, element by element.

        Args:
            left: One sum; its elements' magnitudes count.
            right: The other.
            bound: What an element may differ by.
        """
        if left == right:
            return True
        if bound != EXACTLY and self._surely_agree(left, right, bound):
            return True
        length = len(self._terms.elements((left or right)[0][1]))
        for place in range(length):
            first = [factor * self._at(row, place) for factor, row in left]
            second = [factor * self._at(row, place) for factor, row in right]
            difference = sum(first, Fraction(0)) - sum(second, Fraction(0))
            if not bound.covers(difference, sum(map(abs, first), Fraction(0))):
                return False
        return True

    def _at(self, row: int, place: int) -> Fraction:
        return Fraction(self._terms.plain_value(int(self._terms.elements(row)[place])))

    def _surely_agree(self, left: list[Weighted], right: list[Weighted], bound: Bound) -> bool:
        """The same in float64, with room for all that its rounding may do; False says nothing."""
        sums, sizes = [], []
        for side in (left, right):
            total = size = np.float64(0)
            for factor, row in side:
                weights, is_exact = self._in_float64(row)
                product = float(factor) * weights
                tiny = (np.abs(product) < _SMALLEST) & (weights != 0)
                if not is_exact or not factor or tiny.any() or not np.isfinite(product).all():
                    return False
                total, size = total + product, size + np.abs(product)
            sums.append(total)
            sizes.append(size)
        # Each product is off by at most 2^-52 of itself, and each sum by 2^-53 of its own size.
        slack = (len(left) + len(right) + 2) * 2.0**-51 * (sizes[0] + sizes[1])
        allowed = float(bound.relative) * sizes[0] + float(bound.absolute)
        return bool((np.abs(sums[0] - sums[1]) + slack <= (1 - 2.0**-40) * allowed).all())

    def _in_float64(self, row: int) -> tuple[NDArray[np.float64], bool]:
        """The elements of a row, and whether they are exactly that."""
        if row not in self._float64:
            numbers = self._terms.elements(row).tolist()
            plain = [self._terms.plain_value(number) for number in numbers]
            array = np.array(plain, np.float64)
            same = all(isinstance(value, float) or float(value) == value for value in plain)
            self._float64[row] = array, same
        return self._float64[row]
