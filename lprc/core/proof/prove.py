"""One rewrite proved: the graph before it and the graph after it put out the same."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from lprc.core.proof.cuts import Cut, interface_change, is_same, open_cuts
from lprc.core.proof.judge import Judgement, judge
from lprc.core.proof.moving import Mover
from lprc.core.proof.numbering import Numbering
from lprc.core.proof.positions import at_one_position
from lprc.core.proof.replay import counterexample
from lprc.core.proof.terms import NotProvedError
from lprc.core.proof.verdict import Verdict
from lprc.core.proof.window import Window

MOST_FAILURES = 3
"""Cuts that may fail until a rewrite is given up; further on its effect may be undone."""

MOST_STEPS_BACK = 8
"""How far a window grows towards the graph's inputs where less is not enough."""


def prove(before: ir.Model, after: ir.Model, mover: Mover) -> Verdict:
    """Whether two models compute the same over the reals; docs/proof.md says what that means.

    Windows are looked for where the graphs differ, each as small as the proof allows.

    Args:
        before: A `snapshot`.
        after: Another, whose nodes have the names of those that are the same in `before`.
        mover: For the operator set of both.
    """
    change = interface_change(before, after)
    if change is not None:
        return Verdict("not proved", change)
    numbering = Numbering(before, after)
    total = Verdict("proved")
    failures: list[Verdict] = []
    tried: set[tuple[int, int]] = set()
    while not is_same(numbering):
        cut = next((cut for cut in open_cuts(numbering) if _key(cut) not in tried), None)
        if cut is None or len(failures) == MOST_FAILURES:
            return _worst(failures, total)
        tried.add(_key(cut))
        verdict = _prove_cut(cut, numbering, mover)
        if verdict.state == "proved":
            numbering.merge(*cut)
            total = _sum(total, verdict)
        else:
            failures.append(verdict)
    return total


def _key(cut: Cut) -> tuple[int, int]:
    return id(cut[0]), id(cut[1])


def _worst(failures: list[Verdict], total: Verdict) -> Verdict:
    """What to say of a rewrite some of whose cuts are not proved: the first that is refuted."""
    if not failures:
        return replace(total, state="not proved", reason="no window was found")
    return next((each for each in failures if each.state == "refuted"), failures[0])


def _sum(total: Verdict, verdict: Verdict) -> Verdict:
    return replace(
        total,
        nodes=total.nodes + verdict.nodes,
        elements=total.elements + verdict.elements,
        questions=total.questions + verdict.questions,
        rounded=total.rounded or verdict.rounded,
    )


def _prove_cut(cut: Cut, numbering: Numbering, mover: Mover) -> Verdict:
    """Prove two values equal, in the smallest window that shows it."""
    opened: frozenset[int] = frozenset()
    failed: tuple[Window, Judgement] | None = None
    for _ in range(MOST_STEPS_BACK + 1):
        window = Window(numbering, mover, opened, at_one_position(cut, numbering, opened))
        try:
            judgement = judge(window, *cut)
        except NotProvedError as error:
            if failed is None:
                return Verdict("not proved", str(error), len(window.nodes))
            break
        if judgement.verdict.state == "proved":
            return judgement.verdict
        failed = window, judgement
        more = window.can_open() - opened
        if not more:
            break
        opened |= more
    assert failed is not None
    window, judgement = failed
    if window.is_at_one_position:
        return _in_full(Window(numbering, mover, window.opened), cut, numbering)
    return _replayed(window, judgement, cut, numbering)


def _in_full(window: Window, cut: Cut, numbering: Numbering) -> Verdict:
    """What is not proved of one position is looked at in all of them, to be replayed."""
    try:
        judgement = judge(window, *cut)
    except NotProvedError as error:
        return Verdict("not proved", str(error), len(window.nodes))
    if judgement.verdict.state == "proved":
        return judgement.verdict
    return _replayed(window, judgement, cut, numbering)


def _replayed(window: Window, judgement: Judgement, cut: Cut, numbering: Numbering) -> Verdict:
    """Refuted only where ONNX Runtime shows it."""
    verdict = judgement.verdict
    example = counterexample(window, numbering, *cut, judgement.values)
    if example is not None:
        reason = f"'{cut[0].name}' differs: {example.difference}"
        return replace(verdict, state="refuted", reason=reason, counterexample=example)
    if verdict.state == "refuted":
        reason = f"{verdict.reason}, and the counterexample does not replay"
        return replace(verdict, state="not proved", reason=reason)
    return verdict
