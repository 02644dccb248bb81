"""Whether the two sides of a window can differ."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.proof.affine import AffineForms
from lprc.core.proof.likeness import Likeness
from lprc.core.proof.solver import Answer, Difference, Solver
from lprc.core.proof.terms import NotProvedError
from lprc.core.proof.verdict import Verdict
from lprc.core.proof.weights import EXACTLY, Bound
from lprc.core.proof.window import Window

MOST_PAIRS = 1 << 20
"""Of elements that are not the same term on both sides."""

ROUNDINGS = 2
"""Of its type, by which a constant that a rewrite computed may be off."""

_UNITS = {
    ir.DataType.DOUBLE: Fraction(8, 2**53),  # the type that passes compute in rounds each step
    ir.DataType.FLOAT: Fraction(1, 2**24),
    ir.DataType.FLOAT16: Fraction(1, 2**11),
    ir.DataType.BFLOAT16: Fraction(1, 2**8),
}
"""Half of the distance from 1 to the next number of each type."""

_SMALLEST = {
    ir.DataType.DOUBLE: Fraction(1, 2**1074),
    ir.DataType.FLOAT: Fraction(1, 2**149),
    ir.DataType.FLOAT16: Fraction(1, 2**24),
    ir.DataType.BFLOAT16: Fraction(1, 2**133),
}
"""The least number of each type: what rounding may cost below the normal ones."""


@dataclass
class Judgement:
    """What was found of a window.

    Attributes:
        verdict: Without a replay: refuted means that Z3 says so, or that shapes differ.
        values: Numbers of variables on which the sides differ, if Z3 found some.
    """

    verdict: Verdict
    values: dict[int, Fraction] = field(default_factory=dict)


def judge(window: Window, before: ir.Value, after: ir.Value) -> Judgement:
    """Compare a value of the graph before with one of the graph after, element by element.

    Raises:
        NotProvedError: A node can't be interpreted, or something is over a limit.
    """
    left, right = window.tensor(before), window.tensor(after)
    if left.ids.shape != right.ids.shape:
        was, is_now = list(left.ids.shape), list(right.ids.shape)
        return Judgement(Verdict("refuted", f"'{before.name}' was {was} and is {is_now}"))
    if None not in (left.dtype, right.dtype) and left.dtype != right.dtype:
        return Judgement(Verdict("refuted", f"'{before.name}' was {left.dtype}, is {right.dtype}"))
    differing = left.ids != right.ids
    pairs = np.unique(np.stack([left.ids[differing], right.ids[differing]], axis=1), axis=0)
    if len(pairs) > MOST_PAIRS:
        raise NotProvedError(
            f"a window of {len(pairs):,} elements is over the limit, {MOST_PAIRS:,}"
        )
    shape = editing.static_shape(before)
    return _Pairs(window, left.ids.size if shape is None else math.prod(shape)).judge(pairs)


class _Pairs:
    """Pairs of terms, each shape of pair judged once."""

    def __init__(self, window: Window, elements: int) -> None:
        terms = window.terms
        self._window, self._elements = window, elements
        self._bound = _bound(window.new_constants)
        self._likeness = Likeness(terms)
        self._solver = Solver(terms)
        self._general = AffineForms(terms, whole_rows=True)
        self._spelt_out = AffineForms(terms, whole_rows=False)
        self._known: dict[Hashable, bool] = {}
        self._rounded = False

    def judge(self, pairs: NDArray[np.int64]) -> Judgement:
        for group in self._likeness.groups(pairs):
            if self._holds_generally(*group[0].tolist()):
                continue
            for first, second in group.tolist():
                judgement = self._judge(first, second)
                if judgement is not None:
                    return judgement
        return Judgement(self._verdict("proved"))

    def _verdict(self, state: str, reason: str = "") -> Verdict:
        return Verdict(
            "proved" if state == "proved" else "refuted" if state == "refuted" else "not proved",
            reason,
            len(self._window.nodes),
            self._elements,
            self._solver.questions,
            self._rounded,
        )

    def _judge(self, first: int, second: int) -> Judgement | None:
        """None where they can't differ."""
        if self._holds_generally(first, second):
            return None
        shape = ("in full", self._likeness.in_full(first, second))
        if shape in self._known:  # it held, or this line is not reached
            return None
        difference = self._difference(first, second)
        if difference.answer is Answer.SAME:
            self._known[shape] = True
            return None
        if difference.answer is Answer.UNKNOWN:
            return Judgement(self._verdict("not proved", "Z3 gives no answer within its limit"))
        return Judgement(self._verdict("refuted", "Z3 finds a difference"), difference.values)

    def _holds_generally(self, first: int, second: int) -> bool:
        """Whether they are the same for all rows."""
        shape = ("general", self._likeness.of_pair(first, second))
        if shape not in self._known:
            self._known[shape] = (
                self._agree(first, second, self._general)
                or self._solver.ask(first, second, whole_rows=True).answer is Answer.SAME
            )
        return self._known[shape]

    def _agree(self, first: int, second: int, forms: AffineForms) -> bool:
        if forms.agree(first, second, EXACTLY):
            return True
        if self._bound != EXACTLY and forms.agree(first, second, self._bound):
            self._rounded = True
            return True
        return False

    def _difference(self, first: int, second: int) -> Difference:
        if self._agree(first, second, self._spelt_out):
            return Difference(Answer.SAME, {})
        return self._solver.ask(first, second, whole_rows=False)


def _bound(new_constants: list[ir.Value]) -> Bound:
    """How far a factor may be off: nothing where no constant is new."""
    types = [
        value.dtype
        for value in new_constants
        if value.dtype in _UNITS and editing.constant(value) is not None
    ]
    if not types:
        return EXACTLY
    coarsest = max(types, key=_UNITS.__getitem__)
    return Bound(ROUNDINGS * _UNITS[coarsest], max(_SMALLEST[dtype] for dtype in types))
