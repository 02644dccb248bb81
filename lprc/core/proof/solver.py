"""Whether two terms can differ, asked of Z3."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any

from lprc.core.errors import MissingDependencyError
from lprc.core.graph.editing import ONNX_DOMAIN
from lprc.core.process.installed import is_installed
from lprc.core.proof.elementwise import RANGES
from lprc.core.proof.likeness import is_opaque
from lprc.core.proof.terms import NotProvedError, Terms

RESOURCES = 2_000_000
"""Z3's own count of steps for one question: a second or so, and the same on every machine."""

MOST_PRODUCTS = 1 << 14
"""Of rows that are spelt out in one question."""


def require_z3() -> None:
    """Raises `MissingDependencyError` where Z3 is not installed."""
    if not is_installed("z3"):
        raise MissingDependencyError(
            "needs z3-solver", where="--prove", hint='pip install "lprc[prove]"', option="--prove"
        )


class Answer(Enum):
    """What Z3 says."""

    SAME = "they can't differ"
    DIFFERENT = "they can"
    UNKNOWN = "it gave up"


@dataclass(frozen=True)
class Difference:
    """An answer, and if they can differ, where: numbers by the terms of variables."""

    answer: Answer
    values: dict[int, Fraction]


class Solver:
    """Asks whether two terms of a table can differ.

    Raises:
        MissingDependencyError: Z3 is not installed.
    """

    def __init__(self, terms: Terms) -> None:
        require_z3()
        self._terms = terms
        self.questions = 0

    def ask(self, first: int, second: int, *, whole_rows: bool) -> Difference:
        """Ask about two terms.

        Args:
            first: One.
            second: The other.
            whole_rows: Whether a dot of two rows is a number of its own: what holds for all such
                numbers holds for the dots.

        Raises:
            NotProvedError: The rows are too long.
        """
        import z3

        self.questions += 1
        translation = _Translation(self._terms, whole_rows=whole_rows)
        left, right = translation.of(first), translation.of(second)
        different = self._check([*translation.facts, left != right])
        if different is None or different == []:
            return Difference(Answer.UNKNOWN if different is None else Answer.SAME, {})
        # An input of ordinary size and a large difference survive the rounding of a replay.
        ordinary = [z3.And(leaf >= -8, leaf <= 8) for leaf in translation.variables.values()]
        far = z3.Or(left - right >= 1, right - left >= 1)
        model = (self._check([*translation.facts, far, *ordinary]) or different)[0]
        return Difference(Answer.DIFFERENT, _values(model, translation.variables))

    def _check(self, demands: list[Any]) -> list[Any] | None:
        """A model in a list, an empty list where there is none, None where Z3 gives up."""
        import z3

        solver = z3.Solver()
        solver.set("rlimit", RESOURCES)
        solver.add(*demands)
        answer = solver.check()
        if answer == z3.sat:
            return [solver.model()]
        return [] if answer == z3.unsat else None


def _values(model: Any, variables: dict[int, Any]) -> dict[int, Fraction]:
    import z3

    values = {}
    for number, variable in variables.items():
        value = model.eval(variable, model_completion=True)
        if isinstance(value, z3.AlgebraicNumRef):
            value = value.approx(20)
        values[number] = Fraction(value.numerator_as_long(), value.denominator_as_long())
    return values


class _Translation:
    """Terms as Z3's, each once.

    Attributes:
        variables: Z3's variable of each variable.
        facts: What is known of results of functions.
    """

    def __init__(self, terms: Terms, *, whole_rows: bool) -> None:
        self.variables: dict[int, Any] = {}
        self.facts: list[Any] = []
        self._terms = terms
        self._whole_rows = whole_rows
        self._made: dict[int, Any] = {}
        self._products = 0

    def of(self, number: int) -> Any:
        pending = [number]
        while pending:
            top = pending[-1]
            missing = [needed for needed in self._needs(top) if needed not in self._made]
            if top in self._made or missing:
                if top in self._made:
                    pending.pop()
                pending += missing if top not in self._made else []
                continue
            pending.pop()
            self._made[top] = self._make(top)
        return self._made[number]

    def _needs(self, number: int) -> list[int]:
        """The terms that are translated before it."""
        operator = self._terms.operators[number]
        if is_opaque(operator):
            return []
        if operator != "dot":
            return list(self._terms.operands[number])
        if self._whole_rows:
            return []
        rows = [self._terms.elements(row).tolist() for row in self._terms.operands[number]]
        return [element for row in rows for element in row]

    def _make(self, number: int) -> Any:
        import z3

        value = self._terms.value(number)
        if value is not None:
            return z3.Q(value.numerator, value.denominator)
        operator, operands = self._terms.operators[number], self._terms.operands[number]
        if self._terms.is_variable(number):
            self.variables[number] = z3.Real(f"v{number}")
            return self.variables[number]
        self._terms.require_finite(number)
        if self._terms.is_constant(number):  # a text: like nothing else
            return z3.Real(f"c{number}")
        if operator == "dot":
            return self._dot(number, *operands)
        arguments = [] if is_opaque(operator) else [self._made[operand] for operand in operands]
        if isinstance(operator, str):
            return _ARITHMETIC[operator](arguments)
        return self._result(number, operator, arguments)

    def _dot(self, number: int, left: int, right: int) -> Any:
        import z3

        if self._whole_rows:
            return z3.Real(f"d{number}")
        rows = [self._terms.elements(row).tolist() for row in (left, right)]
        self._products += len(rows[0])
        if self._products > MOST_PRODUCTS:
            raise NotProvedError(f"sums of more than {MOST_PRODUCTS:,} products are over the limit")
        return z3.Sum([self._made[a] * self._made[b] for a, b in zip(*rows, strict=True)])

    def _result(self, number: int, operator: Hashable, operands: list[Any]) -> Any:
        """Of an uninterpreted function."""
        import z3

        assert isinstance(operator, tuple)
        if operands:
            sorts = [z3.RealSort()] * (len(operands) + 1)
            result = z3.Function(repr(operator), *sorts)(*operands)
        else:
            result = z3.Real(f"r{number}")
        span = RANGES.get(operator[0]) if operator[1] in ONNX_DOMAIN else None
        low, high = span or (None, None)
        if low is not None:
            self.facts.append(result >= z3.Q(low.numerator, low.denominator))
        if high is not None:
            self.facts.append(result <= z3.Q(high.numerator, high.denominator))
        return result


def _chosen(larger: bool) -> Any:
    def choose(operands: list[Any]) -> Any:
        import z3

        result = operands[0]
        for other in operands[1:]:
            is_it = result >= other if larger else result <= other
            result = z3.If(is_it, result, other)
        return result

    return choose


def _if_negative(operands: list[Any]) -> Any:
    import z3

    condition, then, otherwise = operands
    return z3.If(condition < 0, then, otherwise)


_ARITHMETIC: dict[str, Any] = {
    "add": lambda made: made[0] + made[1],
    "sub": lambda made: made[0] - made[1],
    "mul": lambda made: made[0] * made[1],
    "div": lambda made: made[0] / made[1],
    "neg": lambda made: -made[0],
    "max": _chosen(larger=True),
    "min": _chosen(larger=False),
    "if_negative": _if_negative,
}
