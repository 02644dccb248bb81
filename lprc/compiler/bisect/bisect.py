"""Which pass breaks a model, and which of its rewrites."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from lprc.compiler.bisect.checks import Check, Checks
from lprc.compiler.bisect.conditions import Judgement, Segment, Verdict
from lprc.compiler.bisect.prefixes import Candidate, Key, Prefixes, keys_of
from lprc.compiler.bisect.search import first_bad, smallest_set
from lprc.core.errors import LprcError, UsageError
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Rewrite

Report = Callable[[float, int], None]


@dataclass(frozen=True)
class Culprit:
    """What breaks the model.

    Attributes:
        start: How many passes the graph ran through that the others are measured with.
        good: How many the last good graph ran through.
        records: The pass that makes it bad; several where the graphs between can't be judged.
        numbers: The rewrites of the one pass that are bad together, from 0; empty for several.
        alone: Whether those rewrites alone, right after `good` passes, were found to be bad.
        detail: What was found of the bad graph.
        checks: All checks made.
    """

    start: int
    good: int
    records: tuple[PassRecord, ...]
    numbers: tuple[int, ...]
    alone: bool
    detail: str
    checks: tuple[Check, ...]

    @property
    def text(self) -> str:
        """The pass or passes as pipeline text."""
        return ",".join(record.text for record in self.records)

    @property
    def rewrites(self) -> list[Rewrite]:
        """The rewrites that are bad together."""
        return [self.records[0].rewrites[number] for number in self.numbers]

    @property
    def keys(self) -> list[Key]:
        """The keys of those."""
        keys = keys_of(self.records[0].rewrites)
        return [keys[number] for number in self.numbers]

    @property
    def count(self) -> int:
        """How many graphs were judged."""
        return sum(not check.repeated for check in self.checks)

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "good_passes": self.good,
            "passes": [
                {
                    "position": record.position,
                    "pass": record.text,
                    "contract": str(record.contract),
                    "rewrites": len(record.rewrites),
                }
                for record in self.records
            ],
            "rewrites": [
                {"number": number + 1, **vars(rewrite), "origins": list(rewrite.origins)}
                for number, rewrite in zip(self.numbers, self.rewrites, strict=True)
            ],
            "rewrites_suffice": self.alone,
            "detail": self.detail,
            "checks": self.count,
            "log": [check.document() for check in self.checks],
        }


def find_culprit(prefixes: Prefixes, checks: Checks, progress: Report | None = None) -> Culprit:
    """Find the first pass after which a graph is bad, then the fewest of its rewrites.

    A pass takes ``log2(passes)`` looks, its rewrite ``log2(rewrites)``, and three more show that
    the source is good, the result bad and the rewrite enough.

    Args:
        prefixes: The pipeline, run.
        checks: Judges; keeps the log.
        progress: Called with the checks made and a guess of their number.

    Raises:
        UsageError: The source is bad, the result is good, or no graph can be judged.
    """
    return _Bisection(prefixes, checks, progress).run()


class _Bisection:
    def __init__(self, prefixes: Prefixes, checks: Checks, progress: Report | None) -> None:
        self._prefixes = prefixes
        self._checks = checks
        self._progress = progress
        most = max((len(record.rewrites) for record in prefixes.records), default=1)
        self._guess = 3 + math.ceil(math.log2(max(2, len(prefixes)) * max(2, most)))

    def run(self) -> Culprit:
        unjudged = None
        for segment in self._checks.condition.segments(self._prefixes):
            start, end = self._start(segment), self._prefixes.prefix(segment[1])
            found = self._verdict(end, start)
            if found is Verdict.BAD:
                return self._within(start, segment[1])
            if found is Verdict.UNKNOWN:
                unjudged = end
        raise self._nothing(unjudged)

    def _start(self, segment: Segment) -> Candidate:
        """The first graph of a segment that can be judged: torch exports some that don't run.

        Raises:
            UsageError: It is bad, or there is none.
        """
        for count in range(segment[0], segment[1] + 1):
            start = self._prefixes.prefix(count)
            judgement = self._checks.judge(start, start)
            if judgement.verdict is Verdict.GOOD:
                return start
            if judgement.verdict is Verdict.BAD:
                name = "the source" if count == 0 else f"the first graph to judge, {start.what},"
                raise UsageError(
                    f"{name} is bad already: {judgement.detail}",
                    where=self._checks.condition.text,
                    hint="no pass is to blame; look at the model or at the condition",
                )
        raise UsageError(
            f"no graph can be judged: {judgement.detail}", where=self._checks.condition.text
        )

    def _nothing(self, unjudged: Candidate | None) -> UsageError:
        text = self._checks.condition.text
        if unjudged is not None:
            detail = self._checks.log[-1].judgement.detail
            return UsageError(
                f"the graph {unjudged.what} can't be judged: {detail}",
                where=text,
                hint="it must be bad for a search to begin",
            )
        return UsageError(
            "the result is good, so that there is nothing to find",
            where=text,
            hint="ask for more with --metric, --check or a smaller --tolerance",
        )

    def _within(self, start: Candidate, end: int) -> Culprit:
        """Search a segment whose start is good and whose end is bad."""
        records = self._prefixes.records
        # Only passes that changed something make a difference.
        counts = [start.passes]
        counts += [n for n in range(start.passes + 1, end + 1) if records[n - 1].changed]
        low, high = first_bad(
            0, len(counts) - 1, lambda at: self._verdict(self._prefixes.prefix(counts[at]), start)
        )
        suspects = tuple(records[count - 1] for count in counts[low + 1 : high + 1])
        good = suspects[0].position
        if len(suspects) > 1:
            return self._culprit(start, good, suspects, (), self._detail(counts[high], start))
        return self._rewrites(start, suspects[0])

    def _detail(self, count: int, start: Candidate) -> str:
        return self._checks.judge(self._prefixes.prefix(count), start).detail

    def _rewrites(self, start: Candidate, record: PassRecord) -> Culprit:
        position, total = record.position, len(record.rewrites)
        low, high = first_bad(0, total, lambda limit: self._limited(position, limit, start))
        details: dict[frozenset[int], str] = {}

        def broken(numbers: Collection[int]) -> Collection[int] | None:
            candidate = self._candidate(lambda: self._prefixes.only(position, numbers))
            if candidate is None:
                return None
            judgement = self._judge(candidate, start)
            if judgement.verdict is not Verdict.BAD:
                return None
            details[frozenset(candidate.numbers)] = judgement.detail
            return candidate.numbers

        numbers = tuple(range(total)) if total == 1 else tuple(smallest_set(low, high, broken))
        alone = total == 1 or frozenset(numbers) in details or broken(numbers) is not None
        detail = details.get(frozenset(numbers)) or self._detail(position + 1, start)
        return self._culprit(start, position, (record,), numbers, detail, alone=alone)

    def _limited(self, position: int, limit: int, start: Candidate) -> Verdict:
        candidate = self._candidate(lambda: self._prefixes.limited(position, limit))
        return Verdict.UNKNOWN if candidate is None else self._verdict(candidate, start)

    def _candidate(self, make: Callable[[], Candidate]) -> Candidate | None:
        """A part of a pass's rewrites; None where the pass can't do a part."""
        try:
            return make()
        except LprcError:
            return None

    def _verdict(self, candidate: Candidate, start: Candidate) -> Verdict:
        return self._judge(candidate, start).verdict

    def _judge(self, candidate: Candidate, start: Candidate) -> Judgement:
        found = self._checks.judge(candidate, start)
        if self._progress is not None:
            self._progress(min(self._checks.count, self._guess), self._guess)
        return found

    def _culprit(
        self,
        start: Candidate,
        good: int,
        records: tuple[PassRecord, ...],
        numbers: tuple[int, ...],
        detail: str,
        *,
        alone: bool = True,
    ) -> Culprit:
        log = tuple(self._checks.log)
        return Culprit(start.passes, good, records, numbers, alone, detail, log)
