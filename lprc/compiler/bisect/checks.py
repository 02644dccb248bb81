"""Every check that a search makes, once each, on record."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from lprc.compiler.bisect.conditions import Condition, Judgement
from lprc.compiler.bisect.prefixes import Candidate
from lprc.core.graph.printer import model_hash


@dataclass(frozen=True)
class Check:
    """One graph and what was found of it.

    Attributes:
        number: From 1.
        what: Which graph.
        graph: Its hash.
        judgement: What the condition said.
        repeated: Whether the same graph had been judged already, and was not judged again.
    """

    number: int
    what: str
    graph: str
    judgement: Judgement
    repeated: bool

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "number": self.number,
            "what": self.what,
            "graph": self.graph,
            "verdict": self.judgement.verdict.value,
            "detail": self.judgement.detail,
            "known": self.repeated,
        }

    def __str__(self) -> str:
        """For instance ``check 3: after pass 2 of 4: bad (y: max 0.3, …)``."""
        detail = f" ({self.judgement.detail})" if self.judgement.detail else ""
        which = "known" if self.repeated else "check"
        return f"{which} {self.number}: {self.what}: {self.judgement.verdict.value}{detail}"


class Checks:
    """Judges graphs by one condition and remembers all of them.

    A start is to be judged itself before others are judged with it.

    Args:
        condition: What tells good from bad.
        listener: Told of every check.
    """

    def __init__(
        self, condition: Condition, listener: Callable[[Check], None] | None = None
    ) -> None:
        self.condition = condition
        self.log: list[Check] = []
        self._listener = listener
        self._starts: dict[int, str] = {}
        self._known: dict[tuple[str, str, Hashable], Check] = {}

    @property
    def count(self) -> int:
        """How often the condition was asked."""
        return sum(not check.repeated for check in self.log)

    def judge(self, candidate: Candidate, start: Candidate) -> Judgement:
        """The condition's judgement; errors as of `Condition.judge`."""
        graph = model_hash(candidate.model)
        if candidate is start:
            self._starts[start.passes] = graph
        key = (graph, self._starts[start.passes], self.condition.key(candidate))
        before = self._known.get(key)
        if before is not None:
            self._note(Check(before.number, candidate.what, graph, before.judgement, repeated=True))
            return before.judgement
        judgement = self.condition.judge(candidate, start)
        check = Check(self.count + 1, candidate.what, graph, judgement, repeated=False)
        self._known[key] = check
        self._note(check)
        return judgement

    def _note(self, check: Check) -> None:
        self.log.append(check)
        if self._listener is not None:
            self._listener(check)
