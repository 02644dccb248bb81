"""The score of a model on labelled samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lprc.core.tasks.confidence import Difference, Interval, difference, interval
from lprc.core.tasks.task import Task


@dataclass(frozen=True)
class Score:
    """What answers were worth.

    Attributes:
        task: Which judged them.
        records: What it remembered of each sample, in the samples' order.
    """

    task: Task
    records: tuple[Any, ...]

    @cached_property
    def value(self) -> float:
        """The score, 0 to 1."""
        return self.task.combine(self.records)

    @cached_property
    def interval(self) -> Interval:
        """Its 95 % confidence interval."""
        return interval(
            self.task.combine,
            self.records,
            shares=self.task.shares,
            resamples=self.task.resamples(self.records),
        )

    @property
    def total(self) -> int:
        """The number of samples."""
        return len(self.records)

    @property
    def correct(self) -> int | None:
        """How many were right, where the task tells right from wrong."""
        if not self.task.shares:
            return None
        return int(sum(float(record[0]) for record in self.records))

    def worst(self) -> Sequence[int]:
        """The samples' numbers, the worst first; those that are perfect are left out."""
        scores = [self.task.combine([record]) for record in self.records]
        imperfect = [index for index, score in enumerate(scores) if score < 1]
        return sorted(imperfect, key=lambda index: (scores[index], index))

    def less(self, other: Score) -> Difference:
        """How far it is above another one's, which has the same samples.

        Raises:
            ValueError: It has not as many.
        """
        return difference(
            self.task.combine,
            self.records,
            other.records,
            shares=self.task.shares,
            resamples=self.task.resamples(self.records),
        )

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        given: dict[str, Any] = {
            "metric": self.task.metric,
            "value": self.value,
            "interval": [self.interval.low, self.interval.high],
            "total": self.total,
        }
        if self.correct is not None:
            given["correct"] = self.correct
        return given

    def __str__(self) -> str:
        """For instance ``plate accuracy 0.9050 (0.8726 to 0.9298, 362 of 400 plates)``."""
        counted = f"{self.total} {self.task.samples}"
        if self.correct is not None:
            counted = f"{self.correct} of {counted}"
        return f"{self.task.metric} {self.value:.4f} ({self.interval}, {counted})"
