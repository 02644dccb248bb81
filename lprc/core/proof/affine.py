"""Terms as sums of multiples of other terms, exactly."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from fractions import Fraction

from lprc.core.proof.terms import NotProvedError, Terms

MOST_COEFFICIENTS = 1 << 22
"""Of all forms that one window needs together."""

_ONE = (Fraction(1), Fraction(1))

Part = tuple[Fraction, Fraction]
"""A factor, and the sum of the magnitudes that it is the sum of."""


@dataclass
class Affine:
    """``constant + sum(factor * atom)``; an atom is a term, or one element of a row.

    With each factor goes its magnitude: what it would be if nothing cancelled.
    """

    constant: Part = (Fraction(0), Fraction(0))
    parts: dict[Hashable, Part] = field(default_factory=dict)

    def times(self, factor: Fraction) -> Affine:
        """A multiple of it."""
        size = abs(factor)
        return Affine(
            (self.constant[0] * factor, self.constant[1] * size),
            {atom: (a * factor, m * size) for atom, (a, m) in self.parts.items()},
        )

    def plus(self, other: Affine) -> Affine:
        """The sum of both."""
        parts = dict(self.parts)
        for atom, (factor, size) in other.parts.items():
            own = parts.get(atom)
            parts[atom] = (factor, size) if own is None else (own[0] + factor, own[1] + size)
        constant = (self.constant[0] + other.constant[0], self.constant[1] + other.constant[1])
        return Affine(constant, parts)

    def agrees(self, other: Affine, bound: Fraction) -> bool:
        """Whether no factor differs by more than `bound` times its magnitude here."""
        if not _near(self.constant, other.constant, bound):
            return False
        nothing = (Fraction(0), Fraction(0))
        return all(
            _near(self.parts.get(atom, nothing), other.parts.get(atom, nothing), bound)
            for atom in self.parts.keys() | other.parts.keys()
        )


def _near(part: Part, other: Part, bound: Fraction) -> bool:
    return part[0] == other[0] or abs(part[0] - other[0]) <= bound * part[1]


class AffineForms:
    """The forms of the terms of a table.

    Args:
        terms: The table.
        whole_rows: Whether the elements of a row are atoms whatever they are: what holds for all
            rows holds for each.
    """

    def __init__(self, terms: Terms, *, whole_rows: bool) -> None:
        self._terms = terms
        self._whole_rows = whole_rows
        self._spent = 0

    def of(self, number: int) -> Affine:
        """The form of a term.

        Raises:
            NotProvedError: It has too many factors.
        """
        terms = self._terms
        value = terms.value(number)
        if value is not None:
            return Affine((value, abs(value)))
        terms.require_finite(number)
        operator, operands = terms.operators[number], terms.operands[number]
        if operator in ("add", "sub"):
            right = self.of(operands[1])
            return self.of(operands[0]).plus(
                right if operator == "add" else right.times(Fraction(-1))
            )
        if operator == "neg":
            return self.of(operands[0]).times(Fraction(-1))
        if operator == "mul":
            return self._product(number, *operands)
        if operator == "div":
            divisor = terms.value(operands[1])
            return self.of(operands[0]).times(1 / divisor) if divisor else self._atom(number)
        return self._dot(number, *operands) if operator == "dot" else self._atom(number)

    def _atom(self, number: Hashable) -> Affine:
        self._spent += 1
        if self._spent > MOST_COEFFICIENTS:
            raise NotProvedError(f"more than {MOST_COEFFICIENTS:,} factors are over the limit")
        return Affine(parts={number: _ONE})

    def _product(self, number: int, left: int, right: int) -> Affine:
        for factor, other in ((left, right), (right, left)):
            form = self.of(factor)
            if not form.parts:
                return self.of(other).times(form.constant[0])
        return self._atom(number)

    def _dot(self, number: int, left: int, right: int) -> Affine:
        """Of a row of constants and a row of whatever."""
        weights = self._constants(left)
        row = right
        if weights is None:
            weights, row = self._constants(right), left
        if weights is None:
            return self._atom(number)
        total = Affine()
        self._spent += len(weights)
        if self._spent > MOST_COEFFICIENTS:
            raise NotProvedError(f"more than {MOST_COEFFICIENTS:,} factors are over the limit")
        if self._whole_rows:
            total.parts = {
                (row, place): (weight, abs(weight)) for place, weight in enumerate(weights)
            }
            return total
        for weight, element in zip(weights, self._terms.elements(row).tolist(), strict=True):
            _add(total, self.of(element).times(weight))
        return total

    def _constants(self, row: int) -> list[Fraction] | None:
        values: list[Fraction] = []
        for element in self._terms.elements(row).tolist():
            value = self._terms.value(element)
            if value is None:
                return None
            values.append(value)
        return values


def _add(total: Affine, form: Affine) -> None:
    """Add to a form in place: sums over rows are long."""
    total.constant = (total.constant[0] + form.constant[0], total.constant[1] + form.constant[1])
    for atom, (factor, size) in form.parts.items():
        own = total.parts.get(atom)
        total.parts[atom] = (factor, size) if own is None else (own[0] + factor, own[1] + size)
