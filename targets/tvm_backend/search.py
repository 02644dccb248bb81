"""Which of a kernel's schedules to try next.

A design space has tens to hundreds of schedules, so all of them can be listed, and a model of cost
trained on thousands pays nothing. The default comes first; then half of each batch is what differs
from the best in the fewest parameters, the other half is drawn from all (Ansor, OSDI 2020, mixes
its batches alike; local search over few discrete parameters as in ATLAS).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any


class Search:
    """The trials of one design space.

    Args:
        candidates: Its schedules' parameters, dataclasses; the default is the first.
        seed: Of the order in which they are tried.
        patience: After so many trials without a better one it is over.
    """

    def __init__(self, candidates: Sequence[Any], seed: str, patience: int) -> None:
        self.candidates = list(candidates)
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._patience = patience
        self._open = set(range(len(self.candidates)))
        self._seconds: dict[int, float | None] = {}
        self._fruitless = 0

    @property
    def trials(self) -> int:
        """How many schedules have been measured, or could not be."""
        return len(self._seconds)

    @property
    def failures(self) -> int:
        """How many could not be measured."""
        return sum(each is None for each in self._seconds.values())

    @property
    def default_seconds(self) -> float | None:
        """Of the default schedule; None where it was not measured."""
        return self._seconds.get(0)

    @property
    def best_seconds(self) -> float | None:
        """Of the fastest schedule."""
        return None if self.best is None else self._seconds[self.best]

    @property
    def best(self) -> int | None:
        """The fastest schedule's index."""
        return next(iter(self.fastest(1)), None)

    @property
    def is_over(self) -> bool:
        """Whether all were tried, or none was better for too long."""
        return not self._open or self._fruitless >= self._patience

    def knows(self, index: int) -> bool:
        """Whether a schedule was measured, or could not be."""
        return index in self._seconds

    def fastest(self, count: int) -> list[int]:
        """The indices of the fastest schedules, fastest first."""
        measured = {i: each for i, each in self._seconds.items() if each is not None}
        return sorted(measured, key=lambda index: (measured[index], index))[:count]

    def take(self, count: int) -> list[int]:
        """The next ones to measure, at most `count`; they are not given out again."""
        if self.is_over:
            return []
        if 0 in self._open:
            picked = [0]
        else:
            near = self._near(count - count // 2)
            others = sorted(self._open - set(near))
            picked = near + self._random.sample(others, min(count - len(near), len(others)))
        self._open -= set(picked)
        return picked

    def tell(self, index: int, seconds: float | None) -> None:
        """Take the seconds that a schedule was measured to take; None: it failed."""
        best = self.best_seconds
        self._open.discard(index)
        again = self._seconds.get(index)
        measured = [measurement for measurement in (again, seconds) if measurement is not None]
        self._seconds[index] = min(measured) if measured else None
        if seconds is not None and (best is None or seconds < best):
            self._fruitless = 0
        elif again is None:
            self._fruitless += 1

    def _near(self, count: int) -> list[int]:
        """Those that differ least from the best."""
        if self.best is None:
            return []
        best = astuple(self.candidates[self.best])

        def distance(index: int) -> tuple[int, float]:
            pairs = zip(astuple(self.candidates[index]), best, strict=True)
            return sum(a != b for a, b in pairs), order[index]

        order = {index: self._random.random() for index in sorted(self._open)}
        return sorted(order, key=distance)[:count]
