"""MetaSchedule's parts of a tuning run: strategy, builder and runner over one session.

MetaSchedule's gradient scheduler spends the trials (`GradientBased`: weight times how fast a task
still gets better). It takes one batch of each task first; ours holds the default schedule alone, so
a task's share in the latency is known when there is something to spend. The scheduler runs one
batch at a time (ask a strategy, build, run), so the session knows whose batch it is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms
from tvm.s_tir.meta_schedule import _ffi_api
from tvm.s_tir.meta_schedule.builder import BuilderResult, PyBuilder
from tvm.s_tir.meta_schedule.logging import get_logging_func
from tvm.s_tir.meta_schedule.runner import PyRunner, PyRunnerFuture, RunnerResult
from tvm.s_tir.meta_schedule.search_strategy import MeasureCandidate, PySearchStrategy

from lprc.core.process.exchange import Failure
from lprc.targets.tvm_backend import spaces
from lprc.targets.tvm_backend.database import Records
from lprc.targets.tvm_backend.measuring_pool import Candidate, MeasuringPool
from lprc.targets.tvm_backend.record_files import Measurement, target_document
from lprc.targets.tvm_backend.search import Search
from lprc.targets.tvm_backend.tasks import Task


class TaskTuning:
    """A task, and what has been tried for it."""

    def __init__(self, task: Task, target: Any, search: Search) -> None:
        self.task, self.target, self.search = task, target, search
        self._greeted = False

    def restore(self, records: Records) -> None:
        """Go on where an earlier run was."""
        indices = {spaces.text(each): i for i, each in enumerate(self.search.candidates)}
        for each in records.of(self.task, self.target):
            if each.parameters in indices:
                self.search.tell(indices[each.parameters], each.seconds)

    def batch(self, count: int) -> list[int]:
        """The schedules to measure next: at first the default, or the best that is known already.

        The scheduler weighs tasks by what it has seen itself, so the known best is run again.
        """
        first, self._greeted = not self._greeted, True
        known = self.search.best
        if first and known is not None and not self.search.is_over:
            return [known]
        return self.search.take(count)

    def schedule(self, index: int) -> Any:
        """The scheduled kernel; its trace says which it is.

        Raises:
            Exception: Whatever TVM raises where the schedule does not fit.
        """
        return spaces.schedule(self.task, self.target, self.search.candidates[index])


class Session:
    """The state that strategy, builder and runner share.

    Args:
        pool: Where candidates are built and run.
        records: Where measurements go.
        left: How many trials there are to spend.
        deadline: When to stop, on the monotonic clock; None: whenever it is done.
        report: Called after each batch.
        check: Called where a whole batch has failed; raises `Failure` where all others would too.

    Attributes:
        failure: Why it goes no further; it can't be raised through MetaSchedule.
    """

    def __init__(
        self,
        pool: MeasuringPool,
        records: Records,
        left: int,
        deadline: float | None,
        report: Callable[[], None],
        check: Callable[[], object],
    ) -> None:
        self.pool, self.records, self.report, self._check = pool, records, report, check
        self.left, self.deadline = left, deadline
        self.current: TaskTuning | None = None
        self.failure: Failure | None = None

    @property
    def is_over(self) -> bool:
        """Whether the time or the trials are spent."""
        return self.left <= 0 or self.is_late or self.failure is not None

    @property
    def is_late(self) -> bool:
        """Whether the time is spent."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def look_for_cause(self) -> None:
        """A whole batch has failed."""
        try:
            self._check()
        except Failure as failure:
            self.failure = failure

    def keep(self, tuning: TaskTuning, index: int, seconds: float | None, trace: Any) -> None:
        """Remember a measurement."""
        tuning.search.tell(index, seconds)
        text = spaces.text(tuning.search.candidates[index])
        self.records.add(tuning.task, tuning.target, trace, Measurement(text, seconds))


def candidate_of(tuning: TaskTuning, module: Any) -> Candidate:
    """A scheduled module as the pool takes it."""
    document = target_document(tuning.target)
    return Candidate(tvm.ir.save_json(module), document, tuning.task.arguments)


@derived_object
class Strategy(PySearchStrategy):  # type: ignore[misc]
    """`Search` as MetaSchedule asks for candidates."""

    def __init__(self, session: Session, tuning: TaskTuning, batch: int) -> None:
        super().__init__()
        self.session, self.tuning, self.size = session, tuning, batch
        self.pending: list[tuple[int, Any]] = []

    def _initialize_with_tune_context(self, context: Any) -> None:
        pass

    def pre_tuning(self, *_: Any) -> None:
        """Nothing: the session has all."""

    def post_tuning(self) -> None:
        """Nothing."""

    def generate_measure_candidates(self) -> list[Any] | None:
        """The next batch; None where this task is over."""
        search = self.tuning.search
        while not self.session.is_over:
            batch = self.tuning.batch(min(self.size, self.session.left))
            if not batch:
                return None
            self.session.left -= sum(not search.knows(index) for index in batch)
            self.pending = self._scheduled(batch)
            if self.pending:
                self.session.current = self.tuning
                arguments = self.tuning.task.args_info
                return [MeasureCandidate(scheduled, arguments) for _, scheduled in self.pending]
        return None

    def _scheduled(self, batch: list[int]) -> list[tuple[int, Any]]:
        scheduled = []
        for index in batch:
            try:
                scheduled.append((index, self.tuning.schedule(index)))
            except Exception:  # noqa: BLE001 - a schedule that TVM refuses is a failed trial
                self.tuning.search.tell(index, None)
        return scheduled

    def notify_runner_results(self, candidates: list[Any], results: list[Any]) -> None:
        """Remember what was measured; not where all would have failed."""
        if self.session.failure is not None:
            return
        for (index, schedule), result in zip(self.pending, results, strict=True):
            seconds = None if result.run_secs is None else min(map(float, result.run_secs))
            self.session.keep(self.tuning, index, seconds, schedule.trace)
        self.pending = []
        self.session.report()

    def clone(self) -> Any:
        """Contexts are not cloned here."""
        raise NotImplementedError


@derived_object
class PoolBuilder(PyBuilder):  # type: ignore[misc]
    """Builds in the pool; an artefact's path is the pool's key."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def build(self, build_inputs: list[Any]) -> list[Any]:
        """Compile a batch."""
        tuning = self.session.current
        assert tuning is not None
        built = self.session.pool.build([candidate_of(tuning, each.mod) for each in build_inputs])
        return [
            BuilderResult(str(key), None) if isinstance(key, int) else BuilderResult(None, key)
            for key in built
        ]


@derived_object
class _Done(PyRunnerFuture):  # type: ignore[misc]
    def __init__(self, seconds: float | None, error: str | None) -> None:
        super().__init__()
        self.seconds, self.error = seconds, error

    def done(self) -> bool:
        return True

    def result(self) -> Any:
        return RunnerResult(None if self.seconds is None else [self.seconds], self.error)


@derived_object
class PoolRunner(PyRunner):  # type: ignore[misc]
    """Runs what the pool has built."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def run(self, runner_inputs: list[Any]) -> list[Any]:
        """Measure a batch."""
        tuning = self.session.current
        assert tuning is not None
        keys = [int(each.artifact_path) for each in runner_inputs]
        outcomes = self.session.pool.run(keys, tuning.search.best_seconds)
        if all(each.seconds is None for each in outcomes):
            self.session.look_for_cause()
        return [_Done(each.seconds, each.error) for each in outcomes]


class _Context(ms.TuneContext):  # type: ignore[misc]
    """TVM's own without its ``import tvm.s_tir.tensor_intrin``.

    That takes 10 to 30 s, as each intrinsic of all machines is parsed, and none is needed.
    """

    def __init__(self, *arguments: Any) -> None:
        self.__init_handle_by_constructor__(_ffi_api.TuneContext, *arguments)
        _ffi_api.TuneContextInitialize(self)


def tune_context(session: Session, tuning: TaskTuning, batch: int, seed: int) -> Any:
    """A task as MetaSchedule's scheduler takes it."""
    space = ms.space_generator.ScheduleFn(
        lambda schedule: [schedule], sch_rules=[], postprocs=[], mutator_probs={}
    )  # the strategy makes each schedule itself: only the root is MetaSchedule's
    strategy = Strategy(session, tuning, batch)
    logger = get_logging_func(logging.getLogger(__name__))
    task = tuning.task
    return _Context(task.module, tuning.target, space, strategy, task.name, 1, seed, logger)
