"""The report of a tuning."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lprc.targets.tvm_backend import spaces
from lprc.targets.tvm_backend.strategy import TaskTuning


@dataclass(frozen=True)
class TaskReport:
    """The result of one task; seconds are of one call.

    Attributes:
        name: The first of its kernels.
        kind: Its ``lprc.kind``.
        occurrences: How often the network calls it.
        space: How many schedules it has.
        trials: How many of them were tried.
        failures: How many of those could not be built or run.
        default_seconds: Of the default schedule; None where that was not measured.
        best_seconds: Of the best one.
        parameters: Of the best one.
    """

    name: str
    kind: str
    occurrences: int
    space: int
    trials: int
    failures: int
    default_seconds: float | None
    best_seconds: float | None
    parameters: str


@dataclass(frozen=True)
class TuningReport:
    """The result of tuning.

    Attributes:
        tasks: By their share in the default's latency, the largest first.
        trials: Schedules known now, those of earlier runs among them.
        measured: How many of them in this run.
        lost: How many candidates cost a worker its process.
        seconds: How long it took.
        stopped: ``trials``, ``time`` or ``nothing left`` (all spaces tried out, or no patience).
    """

    tasks: list[TaskReport]
    trials: int
    measured: int
    lost: int
    seconds: float
    stopped: str

    @property
    def trials_per_minute(self) -> float:
        """How fast this run was."""
        return 60 * self.measured / self.seconds if self.seconds else 0.0

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {**asdict(self), "trials_per_minute": self.trials_per_minute}


def task_report(tuning: TaskTuning) -> TaskReport:
    """Of a task as it stands."""
    task, search = tuning.task, tuning.search
    best = search.best or 0
    return TaskReport(
        task.name,
        task.kind,
        task.occurrences,
        len(search.candidates),
        search.trials,
        search.failures,
        search.default_seconds,
        search.best_seconds,
        spaces.text(search.candidates[best]),
    )
