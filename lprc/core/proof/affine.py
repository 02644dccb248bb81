"""Terms as sums of multiples of other terms, exactly."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from fractions import Fraction

from lprc.core.proof.terms import NotProvedError, Terms
from lprc.core.proof.weights import Bound, Weighted, Weights

MOST_COEFFICIENTS = 1 << 22
"""Of all forms that one window needs together."""

Part = tuple[Fraction, Fraction]
"""A factor, and the sum of the magnitudes that it is the sum of."""

_NOTHING = (Fraction(0), Fraction(0))


@dataclass
class Affine:
    """``constant + sum(factor * atom) + sum(factor * dot(weights, row))``; an atom is a term.

    With each factor goes its magnitude: what it would be if nothing cancelled.
    """

    constant: Part = _NOTHING
    parts: dict[Hashable, Part] = field(default_factory=dict)
    dots: dict[int, list[Weighted]] = field(default_factory=dict)

    def add(self, atom: Hashable, factor: Fraction) -> None:
        """Add a multiple of an atom."""
        was, size = self.parts.get(atom, _NOTHING)
        self.parts[atom] = (was + factor, size + abs(factor))

    def add_constant(self, value: Fraction) -> None:
        """Add a number."""
        self.constant = (self.constant[0] + value, self.constant[1] + abs(value))

    @property
    def is_constant(self) -> bool:
        """Whether it is a number."""
        return not self.parts and not self.dots


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
        self._weights = Weights(terms)
        self._spent = 0

    def of(self, number: int) -> Affine:
        """The form of a term.

        Raises:
            NotProvedError: It has too many factors.
        """
        form = Affine()
        self._add(number, Fraction(1), form)
        return form

    def agree(self, first: int, second: int, bound: Bound) -> bool:
        """Whether no factor of one term differs from that of the other by more than is allowed.

        Args:
            first: A term; the magnitudes of its factors count.
            second: The other.
            bound: What a factor may differ by.
        """
        left, right = self.of(first), self.of(second)
        return (
            _near(left.constant, right.constant, bound)
            and all(
                _near(left.parts.get(atom, _NOTHING), right.parts.get(atom, _NOTHING), bound)
                for atom in left.parts.keys() | right.parts.keys()
            )
            and all(
                self._weights.agree(left.dots.get(row, []), right.dots.get(row, []), bound)
                for row in left.dots.keys() | right.dots.keys()
            )
        )

    def _add(self, number: int, factor: Fraction, total: Affine) -> None:
        """Add ``factor`` times a term to a form."""
        terms = self._terms
        value = terms.value(number)
        if value is not None:
            total.add_constant(value * factor)
            return
        terms.require_finite(number)
        operator, operands = terms.operators[number], terms.operands[number]
        if operator in ("add", "sub"):
            self._add(operands[0], factor, total)
            self._add(operands[1], factor if operator == "add" else -factor, total)
        elif operator == "neg":
            self._add(operands[0], -factor, total)
        elif operator == "mul":
            self._add_product(number, factor, total)
        elif operator == "div" and (divisor := terms.value(operands[1])):
            self._add(operands[0], factor / divisor, total)
        elif operator == "dot":
            self._add_dot(number, factor, total)
        else:
            self._add_atom(number, factor, total)

    def _add_atom(self, number: Hashable, factor: Fraction, total: Affine) -> None:
        self._spend(1)
        total.add(number, factor)

    def _spend(self, count: int) -> None:
        self._spent += count
        if self._spent > MOST_COEFFICIENTS:
            raise NotProvedError(f"more than {MOST_COEFFICIENTS:,} factors are over the limit")

    def _add_product(self, number: int, factor: Fraction, total: Affine) -> None:
        left, right = self._terms.operands[number]
        for scale, other in ((left, right), (right, left)):
            value = self._terms.value(scale)
            if value is not None:
                self._add(other, factor * value, total)
                return
        self._add_atom(number, factor, total)

    def _add_dot(self, number: int, factor: Fraction, total: Affine) -> None:
        """Of a row of constants and a row of whatever."""
        left, right = self._terms.operands[number]
        weights, row = (left, right) if self._weights.are(left) else (right, left)
        if not self._weights.are(weights):
            self._add_atom(number, factor, total)
            return
        elements = self._terms.elements(row).tolist()
        self._spend(len(elements))
        if self._whole_rows:
            total.dots.setdefault(row, []).append((factor, weights))
            return
        for weight, element in zip(self._weights.exact(weights), elements, strict=True):
            self._add(element, factor * weight, total)


def _near(part: Part, other: Part, bound: Bound) -> bool:
    return part[0] == other[0] or bound.covers(part[0] - other[0], part[1])
