"""Workers of a Dask cluster."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lprc.compiler.cache.surroundings import machine
from lprc.compiler.measure.paired import PairedRatio
from lprc.compiler.searching.evaluate import Evaluator, Question
from lprc.compiler.searching.latency import ratios_to, told_apart
from lprc.compiler.searching.outcome import Bars, Outcome
from lprc.compiler.searching.parcels import (
    Parcel,
    parcel,
    question_in,
    read_folder,
    unpacked,
    write_folder,
)
from lprc.compiler.searching.workers import Job
from lprc.core.errors import MachineError, MissingDependencyError, UsageError
from lprc.core.process.installed import is_installed

CONNECT_SECONDS = 20

Files = dict[str, bytes]


class ClusterWorkers:
    """The workers behind a scheduler; a `lprc.compiler.searching.workers.Workers`.

    The question's files go to each worker once. What a lost worker was at is done again by
    another. Latencies are measured by one worker at a time, and only by those that have the
    resource `measure_on`, or by any where all are the same kind of machine.

    Args:
        scheduler: Its address.
        question: What candidates are judged by.
        measure_on: A resource that workers declare; None for any.

    Raises:
        MissingDependencyError: Dask is not installed.
        UsageError: No scheduler answers, it has no workers, or they are of different kinds.
    """

    def __init__(self, scheduler: str, question: Question, measure_on: str | None) -> None:
        if not is_installed("distributed"):
            raise MissingDependencyError(
                "Dask is not installed", where="--scheduler", hint='pip install "lprc[cluster]"'
            )
        self._source, self._measure_on = question.model, measure_on
        self._parcel: Parcel = parcel(question)
        self._client = _connected(scheduler)
        self._holders: set[str] = set()
        self._payload: Any = None
        self.slots = len(self._workers())
        if not self.slots:
            self.close()
            raise UsageError("it has no workers", where=scheduler, hint="dask worker ADDRESS")
        if measure_on is None:
            self._check_kinds(scheduler)

    def evaluate(self, jobs: Sequence[Job]) -> list[Outcome]:
        """What comes of candidates; one over which several workers died has failed."""
        futures = [
            self._submit(_evaluate, self._parcel.question, job.candidate, job.bars) for job in jobs
        ]
        self.slots = max(1, len(self._workers()))
        return [self._outcome(future, job) for future, job in zip(futures, jobs, strict=True)]

    def ratios(
        self, incumbent: Path, places: Sequence[Path], *, rounds: int | None = None
    ) -> list[PairedRatio]:
        """Latencies over the incumbent's, all on one worker.

        Raises:
            MachineError: No worker is left that can measure.
        """
        first = None if incumbent == self._source else read_folder(incumbent)
        files = [read_folder(place) for place in places]
        resources = None if self._measure_on is None else {self._measure_on: 1}
        future = self._submit(
            _ratios, self._parcel.question, first, files, rounds, resources=resources
        )
        failure = future.exception()
        if failure is None:
            ratios: list[PairedRatio] = future.result()
            return ratios
        if _died(failure):
            raise MachineError("the workers that measure latencies are gone", hint="start others")
        raise failure

    def close(self) -> None:
        """Leave the cluster; its workers stay."""
        self._client.close()

    def _workers(self) -> list[str]:
        return list(self._client.scheduler_info(n_workers=-1)["workers"])

    def _submit(self, function: Callable[..., Any], *arguments: Any, resources: Any = None) -> Any:
        """Send a task; its files go to workers that do not have them yet."""
        present = set(self._workers())
        if self._payload is None or not present <= self._holders:
            self._payload = self._client.scatter(self._parcel.payload, broadcast=True)
            self._holders = present
        return self._client.submit(
            function,
            self._payload,
            self._parcel.digest,
            *arguments,
            pure=False,
            resources=resources,
        )

    def _outcome(self, future: Any, job: Job) -> Outcome:
        failure = future.exception()
        if failure is not None:
            if not _died(failure):
                raise failure
            return Outcome("failed", "the workers that it was tried on died")
        outcome, files = future.result()
        if files:
            write_folder(files, job.place)
        return outcome if isinstance(outcome, Outcome) else Outcome("failed", "no outcome")

    def _check_kinds(self, scheduler: str) -> None:
        """See that latencies of any two workers compare.

        Raises:
            UsageError: They are different kinds of machines.
        """
        kinds = {tuple(kind) for kind in self._client.run(machine).values()}
        if len(kinds) > 1:
            self.close()
            raise UsageError(
                f"its workers are {len(kinds)} kinds of machines, whose latencies do not compare",
                where=scheduler,
                hint="start those of one kind with --resources KIND=1, and give --measure-on KIND",
            )


def cluster_workers(scheduler: str, question: Question, measure_on: str | None) -> ClusterWorkers:
    """The workers behind a scheduler; errors as of `ClusterWorkers`."""
    return ClusterWorkers(scheduler, question, measure_on)


def _connected(scheduler: str) -> Any:
    from distributed import Client

    try:
        client: Any = Client
        return client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"no scheduler answers: {first}", where=scheduler, hint="dask scheduler starts one"
        ) from error


def _died(failure: BaseException) -> bool:
    """Whether workers were lost over a task, as often as Dask allows."""
    from distributed.scheduler import KilledWorker

    return isinstance(failure, KilledWorker)


# ---- on a worker

_TURN = threading.Lock()
"""One task at a time: a worker with several threads would disturb its own latencies."""

_EVALUATORS: dict[tuple[str, Question], Evaluator] = {}


def _evaluator(payload: bytes, digest: str, question: Question) -> Evaluator:
    """That of a question, whose files are unpacked where they are not there yet."""
    key = (digest, question)
    if key not in _EVALUATORS:
        folder = unpacked(payload, digest, _parcels())
        _EVALUATORS[key] = Evaluator(question_in(folder, question))
    return _EVALUATORS[key]


def _parcels() -> Path:
    from distributed import get_worker

    return Path(get_worker().local_directory) / "lprc-parcels"


def _evaluate(
    payload: bytes, digest: str, question: Question, candidate: Any, bars: Bars
) -> tuple[Outcome, Files]:
    """An outcome, and the artefact's files where there is one."""
    with _TURN, tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "artefact"
        outcome = _evaluator(payload, digest, question).evaluate(candidate, place, bars)
        return outcome, read_folder(place) if outcome.is_feasible else {}


def _ratios(
    payload: bytes,
    digest: str,
    question: Question,
    incumbent: Files | None,
    artefacts: Sequence[Files],
    rounds: int | None,
) -> list[PairedRatio]:
    """Latencies over the incumbent's; None for the source."""
    with _TURN, tempfile.TemporaryDirectory() as scratch:
        evaluator = _evaluator(payload, digest, question)
        first = evaluator.question.model
        if incumbent is not None:
            first = Path(scratch) / "incumbent"
            write_folder(incumbent, first)
        places = [Path(scratch) / str(index) for index in range(len(artefacts))]
        for files, place in zip(artefacts, places, strict=True):
            write_folder(files, place)
        samples = evaluator.calibration
        sample = dict(samples[0]) if len(samples) else None
        threads = evaluator.question.threads
        if rounds is None:
            return told_apart(first, places, inputs=sample, threads=threads)
        return ratios_to(first, places, inputs=sample, threads=threads, rounds=rounds)
