"""Tuning: MetaSchedule's gradient scheduler over the kernels of a packed module.

Shao et al., "Tensor Program Optimization with Probabilistic Programs", NeurIPS 2022 (MetaSchedule);
Zheng et al., "Ansor", OSDI 2020, section 6 (the scheduler).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.analysis import estimate_tir_flops

from lprc.targets.tvm_backend import rpc, spaces
from lprc.targets.tvm_backend.database import Records
from lprc.targets.tvm_backend.machine import Machine
from lprc.targets.tvm_backend.measuring_pool import Limits, MeasuringPool, Tracker
from lprc.targets.tvm_backend.search import Search
from lprc.targets.tvm_backend.strategy import (
    PoolBuilder,
    PoolRunner,
    Session,
    TaskTuning,
    candidate_of,
    tune_context,
)
from lprc.targets.tvm_backend.tasks import find_tasks
from lprc.targets.tvm_backend.tuning_report import TuningReport, task_report

_FINALISTS, _ROUNDS = 3, 3
_NO_LIMIT = 2**31 - 1

Progress = Callable[[float, int], None]
Status = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class TuningSettings:
    """How to tune.

    Attributes:
        trials: How many schedules to measure in all; those of earlier runs count.
        seconds: After so many no further batch is begun; None: it may take as long as it does.
        patience: A task is left after so many trials without a better schedule.
        workers: Processes that build and measure; 0: one a core, or one a device.
        seed: Of what is tried.
        rpc: Host, port and key of devices behind TVM's tracker; None: this machine.
        batch: Trials of one task before the next task is chosen; 0: four a worker.
        limits: When a candidate is given up.
    """

    trials: int
    seconds: float | None = None
    patience: int = 64
    workers: int = 0
    seed: int = 0
    rpc: Sequence[Any] | None = None
    batch: int = 0
    limits: Limits = field(default_factory=Limits)


def tune(
    module: Any,
    target: Any,
    settings: TuningSettings,
    records: Records,
    progress: Progress | None = None,
    status: Status | None = None,
) -> TuningReport:
    """Look for better schedules of a packed module's kernels; the measurements are in `records`.

    Kernels of equal structure are one task. The default schedule of each task is measured first;
    at the end the best ones are measured again, in turn with the default, so that neither is
    chosen for a disturbance of the other.

    Args:
        module: Of `packing.pack`.
        target: TVM's target.
        settings: How to tune.
        records: The measurements so far; new ones are kept there too.
        progress: Called with trials done and their number.
        status: Called after each batch with what a terminal shows: `trials`, `of`,
            `latency` (seconds of all tasks), `best` (seconds by task), `seconds_left`.

    Raises:
        Failure: The tracker does not answer, or has no such device.
    """
    return _Run(module, target, settings, records, progress, status).tune()


class _Run:
    def __init__(
        self,
        module: Any,
        target: Any,
        settings: TuningSettings,
        records: Records,
        progress: Progress | None,
        status: Status | None,
    ) -> None:
        self._target, self._settings, self._records = target, settings, records
        self._progress, self._status = progress, status
        self._begin = time.monotonic()
        self._tunings = _tunings(module, target, settings)
        for tuning in self._tunings:
            tuning.restore(records)
        self._known = self._trials

    @property
    def _trials(self) -> int:
        return sum(tuning.search.trials for tuning in self._tunings)

    def tune(self) -> TuningReport:
        left = self._settings.trials - self._known
        if left <= 0 or all(tuning.search.is_over for tuning in self._tunings):
            self._say()
            return self._report(0, "trials" if left <= 0 else "nothing left")
        with self._pool() as pool:
            deadline = None
            if self._settings.seconds is not None:
                deadline = self._begin + self._settings.seconds
            session = Session(pool, self._records, left, deadline, self._say, self._check)
            self._schedule(session)
            if session.failure is not None:
                raise session.failure
            for tuning in self._tunings:
                _settle(session, tuning)
            stopped = "time" if session.is_late else "nothing left"
            stopped = "trials" if session.left <= 0 else stopped
            return self._report(pool.counts.lost, stopped)

    @property
    def _tracker(self) -> Tracker | None:
        return None if self._settings.rpc is None else Tracker(*self._settings.rpc)

    def _check(self) -> int | None:
        """How many devices there are; None for this machine."""
        return None if self._tracker is None else rpc.devices(self._tracker)

    def _pool(self) -> MeasuringPool:
        settings, devices = self._settings, self._check()
        workers = settings.workers or devices or _cores()
        threads = Machine.of_target(self._target).threads
        workers = min(workers, devices or workers)
        return MeasuringPool(workers, threads, self._tracker, settings.limits)

    def _schedule(self, session: Session) -> None:
        settings = self._settings
        logging.getLogger("tvm.s_tir.meta_schedule").setLevel(logging.ERROR)
        batch = settings.batch or 4 * session.pool.workers
        ms.task_scheduler.GradientBased(seed=_seed(settings.seed)).tune(
            tasks=[
                tune_context(session, tuning, batch, _seed(settings.seed))
                for tuning in self._tunings
            ],
            task_weights=[tuning.task.occurrences for tuning in self._tunings],
            max_trials_global=_NO_LIMIT,  # the session counts, without what is measured again
            max_trials_per_task=_NO_LIMIT,
            num_trials_per_iter=batch,
            builder=PoolBuilder(session),
            runner=PoolRunner(session),
            measure_callbacks=[],
            database=None,
            cost_model=None,
        )

    def _say(self) -> None:
        """Tell whoever listens how far it is."""
        done, total = self._trials, max(self._settings.trials, self._trials)
        if self._progress is not None:
            self._progress(done, total)
        if self._status is None:
            return
        best = {
            tuning.task.name: tuning.search.best_seconds
            for tuning in self._tunings
            if tuning.search.best_seconds is not None
        }
        counts = {tuning.task.name: tuning.task.occurrences for tuning in self._tunings}
        latency = sum(seconds * counts[name] for name, seconds in best.items())
        left = self._seconds_left(done - self._known, total - done)
        self._status(
            {"trials": done, "of": total, "latency": latency, "best": best, "seconds_left": left}
        )

    def _seconds_left(self, measured: int, left: int) -> float | None:
        """At the speed so far, and within the cap; None where nothing is known."""
        spent = time.monotonic() - self._begin
        guesses = [] if not measured else [spent / measured * left]
        if self._settings.seconds is not None:
            guesses.append(self._settings.seconds - spent)
        return max(0.0, min(guesses)) if guesses else None

    def _report(self, lost: int, stopped: str) -> TuningReport:
        reports = [task_report(tuning) for tuning in self._tunings]
        reports.sort(key=lambda each: -(each.default_seconds or 0.0) * each.occurrences)
        seconds = time.monotonic() - self._begin
        trials = self._trials
        return TuningReport(reports, trials, trials - self._known, lost, seconds, stopped)


def _tunings(module: Any, target: Any, settings: TuningSettings) -> list[TaskTuning]:
    """The tasks that have a choice, those with the most arithmetic first.

    The scheduler begins with one trial of each, in this order.
    """
    tunings = []
    for task in find_tasks(module):
        candidates = spaces.candidates(task, target)
        if task.occurrences and len(candidates) > 1:
            search = Search(candidates, f"{settings.seed}/{task.key}", settings.patience)
            tunings.append(TaskTuning(task, target, search))
    work = {
        id(tuning): estimate_tir_flops(tuning.task.module) * tuning.task.occurrences
        for tuning in tunings
    }
    return sorted(tunings, key=lambda tuning: -work[id(tuning)])


def _settle(session: Session, tuning: TaskTuning) -> None:
    """Measure the finalists once more, in turn: the default may have had a bad moment."""
    search = tuning.search
    if search.best in (None, 0):
        return
    indices = list(dict.fromkeys([0, *search.fastest(_FINALISTS)]))
    finalists = [tuning.schedule(index) for index in indices]
    built = session.pool.build([candidate_of(tuning, finalist.mod) for finalist in finalists])
    for number in range(_ROUNDS):
        for index, schedule, key in zip(indices, finalists, built, strict=True):
            if isinstance(key, int):
                (outcome,) = session.pool.run([key], keep=number < _ROUNDS - 1)
                if outcome.seconds is not None:
                    session.keep(tuning, index, outcome.seconds, schedule.trace)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _seed(seed: int) -> int:
    """MetaSchedule's seeds are from 1 to 2**31 - 1."""
    return seed % (2**31 - 2) + 1
