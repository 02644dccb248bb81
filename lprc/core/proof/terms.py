"""Terms over the reals, each kept once: equal numbers are equal terms."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
"""An array of term numbers."""

CONSTANT, VARIABLE, ROW = "constant", "variable", "row"

ZERO = 0
"""The number of the constant 0: what pads pad with."""

OPAQUE_MARK = "of whole tensors"
"""At the end of an operator that is a function of whole tensors: its results are like variables."""

NO_LEAF, LEAVES = -1, -2

_NOT_FINITE = frozenset((CONSTANT, text) for text in ("inf", "-inf", "nan"))

COMMUTATIVE = frozenset({"add", "mul", "max", "min"})


class NotProvedError(Exception):
    """Why a window can't be judged; a reason for people."""


class Terms:
    """A table of terms.

    A term is an operator and the numbers of its operands. Operators of arithmetic are texts: add,
    sub, mul, div, neg; max and min of any number of operands; ``if_negative`` (condition, then,
    else); ``dot`` of two rows. All others are uninterpreted functions. Constants have a `Fraction`
    (or a text, for infinities, NaN and strings), variables what they stand for, rows an array.

    Attributes:
        operators: By the number of the term.
        operands: The same.
        leaf: The one variable, row or result of an opaque function in a term, rows being looked
            at as a whole; `NO_LEAF`, or `LEAVES` where there are several.
        shape: Equal for terms that are the same but for which leaf they have; meaningless where
            there are several.
    """

    def __init__(self) -> None:
        self.operators: list[Hashable] = []
        self.operands: list[tuple[int, ...]] = []
        self._numbers: dict[tuple[Hashable, tuple[int, ...]], int] = {}
        self._constants: dict[Fraction | float | str, int] = {}
        self._values: dict[int, Fraction | float] = {}
        self._rows: dict[tuple[int, bytes], int] = {}
        self._row_elements: dict[int, Ids] = {}
        self._constant_rows: dict[int, bool] = {}
        self.leaf: list[int] = []
        self.shape: list[int] = []
        self._shapes: dict[Hashable, int] = {}
        assert self.constant(Fraction(0)) == ZERO

    def __len__(self) -> int:
        """The number of terms."""
        return len(self.operators)

    def _number(self, operator: Hashable, operands: tuple[int, ...]) -> int:
        key = (operator, operands)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._new(operator, operands)
        return number

    def _new(self, operator: Hashable, operands: tuple[int, ...] = ()) -> int:
        number = len(self.operators)
        self.operators.append(operator)
        self.operands.append(operands)
        kind = self._leaf_kind(operator)
        if kind is not None:
            self._add_shape(kind, number)
        elif not operands:  # a constant, or a row: like no other
            self.leaf.append(NO_LEAF)
            self.shape.append(-1 - number)
        else:
            leaves = {self.leaf[operand] for operand in operands} - {NO_LEAF}
            leaf = NO_LEAF if not leaves else leaves.pop() if len(leaves) == 1 else LEAVES
            shapes = () if leaf == LEAVES else tuple(self.shape[operand] for operand in operands)
            self._add_shape((operator, shapes), leaf)
        return number

    def _leaf_kind(self, operator: Hashable) -> Hashable:
        """What kind of leaf a term is; None where it is none."""
        if not isinstance(operator, tuple) or operator[0] in (CONSTANT, ROW):
            return None
        if operator[0] == VARIABLE:
            return VARIABLE
        return ("result", operator[0]) if operator[-1] == OPAQUE_MARK else None

    def _add_shape(self, shape: Hashable, leaf: int) -> None:
        self.leaf.append(leaf)
        self.shape.append(self._shapes.setdefault(shape, len(self._shapes)))

    def constant(self, value: Fraction | str) -> int:
        """The number of a constant."""
        return self._constant(value)

    def _constant(self, value: Fraction | float | str) -> int:
        """The same of a Python number: equal ones have equal hashes, whatever their type."""
        number = self._constants.get(value)
        if number is None:
            key = _key(value)
            number = self._constants.get(key)
            if number is None:
                number = self._constants[key] = self._new((CONSTANT, key))
                if not isinstance(key, str):
                    self._values[number] = key
        return number

    def constants(self, array: NDArray[Any]) -> Ids:
        """The numbers of an array's elements; floats are the rationals that they are exactly."""
        if array.dtype.kind in "OUS":
            flat = [self.constant(f"text {text!r}") for text in array.reshape(-1).tolist()]
            return np.array(flat, np.int64).reshape(array.shape)
        if array.dtype.kind not in "iub":
            array = array.astype(np.float64)
        values, places = np.unique(array.reshape(-1), return_inverse=True)
        numbers = [self._constant(value) for value in values.tolist()]
        ids: Ids = np.array(numbers, np.int64)[places].reshape(array.shape)
        return ids

    def variables(self, name: Hashable, shape: Sequence[int]) -> Ids:
        """A variable for each element of a tensor; the same name gives the same variables."""
        count = int(np.prod(shape, dtype=np.int64))
        first = len(self)
        if count and ((VARIABLE, name, 0), ()) in self._numbers:
            first = self._numbers[(VARIABLE, name, 0), ()]
        else:
            for place in range(count):
                self._number((VARIABLE, name, place), ())
        return np.arange(first, first + count, dtype=np.int64).reshape(tuple(shape))

    def apply(self, operator: Hashable, *operands: Ids) -> Ids:
        """An operator over elements at the same places, after broadcasting."""
        spread = np.broadcast_arrays(*operands)
        rows = np.stack([array.reshape(-1) for array in spread], axis=1)
        return self.apply_rows(operator, rows).reshape(spread[0].shape)

    def apply_rows(self, operator: Hashable, rows: Ids) -> Ids:
        """An operator over each row of operands [n, operands]; [n]."""
        if operator in COMMUTATIVE:
            rows = np.sort(rows, axis=1)
        return np.fromiter(
            (self._applied(operator, row) for row in map(tuple, rows.tolist())),
            np.int64,
            len(rows),
        )

    def _applied(self, operator: Hashable, operands: tuple[int, ...]) -> int:
        if operator in ("max", "min"):
            operands = self._distinct(operands, "-inf" if operator == "max" else "inf")
            if len(operands) == 1:
                return operands[0]
        number = self._numbers.get((operator, operands))
        if number is None:
            values = [self.value(operand) for operand in operands]
            folded = _fold(operator, values)
            number = self._new(operator, operands) if folded is None else self.constant(folded)
            self._numbers[operator, operands] = number
        return number

    def _distinct(self, operands: tuple[int, ...], neutral: str) -> tuple[int, ...]:
        """Operands of max or min, each once, without the infinity that changes nothing."""
        infinite = (CONSTANT, neutral)
        distinct = tuple(dict.fromkeys(operands))
        finite = tuple(number for number in distinct if self.operators[number] != infinite)
        return finite or distinct

    def rows(self, elements: Ids) -> Ids:
        """The numbers of rows [n, elements of one row]; [n]."""
        elements = np.ascontiguousarray(elements)
        width = elements.shape[1]
        numbers = np.empty(len(elements), np.int64)
        for place, row in enumerate(elements):
            key = (width, row.tobytes())
            number = self._rows.get(key)
            if number is None:
                number = self._rows[key] = self._new((ROW, len(self)))
                self._row_elements[number] = row
                if not self.is_constant_row(number):
                    self.leaf[number] = number
                    self.shape[number] = self._shapes.setdefault((ROW, width), len(self._shapes))
            numbers[place] = number
        return numbers

    def is_row(self, number: int) -> bool:
        """Whether a term is a row."""
        return number in self._row_elements

    def elements(self, row: int) -> Ids:
        """The elements of a row."""
        return self._row_elements[row]

    def is_constant(self, number: int) -> bool:
        """Whether a term is a constant, a number or not."""
        operator = self.operators[number]
        return isinstance(operator, tuple) and operator[0] == CONSTANT

    def require_finite(self, number: int) -> None:
        """Refuse to compute with an infinity or NaN.

        Raises:
            NotProvedError: The term is one.
        """
        operator = self.operators[number]
        if operator in _NOT_FINITE:
            raise NotProvedError("it computes with a constant that is not finite")

    def is_constant_row(self, row: int) -> bool:
        """Whether all elements of a row are constants."""
        if row not in self._constant_rows:
            elements = np.unique(self._row_elements[row]).tolist()
            self._constant_rows[row] = all(map(self.is_constant, elements))
        return self._constant_rows[row]

    def value(self, number: int) -> Fraction | None:
        """The number that a constant is; None for all other terms."""
        plain = self._values.get(number)
        return plain if plain is None else Fraction(plain)

    def plain_value(self, number: int) -> Fraction | float:
        """The same of a constant that is a number, as it was given: half of the time and memory."""
        return self._values[number]

    def is_number(self, number: int) -> bool:
        """Whether a term is a constant and no text."""
        return number in self._values

    def is_variable(self, number: int) -> bool:
        """Whether a term is a variable."""
        operator = self.operators[number]
        return isinstance(operator, tuple) and operator[0] == VARIABLE

    def numbers(self, ids: Ids, what: str) -> NDArray[Any]:
        """The values of constants, as int64 or float64.

        Raises:
            NotProvedError: One is none.
        """
        values = [self.value(number) for number in ids.reshape(-1).tolist()]
        fractions = [value for value in values if value is not None]
        if len(fractions) != len(values):
            raise NotProvedError(f"{what} is not constant")
        whole = all(value.denominator == 1 for value in fractions)
        numbers = [int(value) if whole else float(value) for value in fractions]
        return np.array(numbers, np.int64 if whole else np.float64).reshape(ids.shape)


def _key(value: Fraction | float | str) -> Fraction | float | str:
    """A number as it is; infinities and NaN, which no fraction is, as text."""
    return f"{value}" if isinstance(value, float) and not math.isfinite(value) else value


def _fold(operator: Hashable, values: list[Fraction | None]) -> Fraction | None:
    """What arithmetic makes of constants; None where it is none of them, or no number."""
    fractions = [value for value in values if value is not None]
    if len(fractions) != len(values) or not fractions:
        return None
    first = fractions[0]
    if operator == "add":
        return first + fractions[1]
    if operator == "sub":
        return first - fractions[1]
    if operator == "mul":
        return first * fractions[1]
    if operator == "div":
        return first / fractions[1] if fractions[1] else None
    if operator == "neg":
        return -first
    if operator in ("max", "min"):
        return max(fractions) if operator == "max" else min(fractions)
    if operator == "if_negative":
        return fractions[1] if first < 0 else fractions[2]
    return None
