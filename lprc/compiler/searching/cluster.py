"""Candidates on the workers of a Dask cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lprc.compiler.cluster.connection import TURN, Cluster, WorkersLostError, in_parcel
from lprc.compiler.cluster.parcels import read_folder, write_folder
from lprc.compiler.measure.paired import PairedRatio
from lprc.compiler.searching.evaluate import Evaluator, Question
from lprc.compiler.searching.latency import told_apart
from lprc.compiler.searching.outcome import Bars, Outcome
from lprc.compiler.searching.parcels import question_in, question_parcel
from lprc.compiler.searching.workers import Job
from lprc.core.errors import LprcError

Files = dict[str, bytes]


class ClusterWorkers:
    """The workers behind a scheduler; a `lprc.compiler.searching.workers.Workers`.

    Latencies are measured by one worker at a time, and only by those that have the resource
    `measure_on`, or by any where all are the same kind of machine.

    Args:
        scheduler: Its address.
        question: What candidates are judged by.
        measure_on: A resource that workers declare; None for any.

    Raises:
        MissingDependencyError: Dask is not installed.
        UsageError: No scheduler answers, it has no workers, or they are of different kinds.
    """

    def __init__(self, scheduler: str, question: Question, measure_on: str | None) -> None:
        self._source, self._measure_on = question.model, measure_on
        packed = question_parcel(question)
        self._question = packed.question
        self._cluster = Cluster(scheduler, packed.parcel)
        self.slots = self._cluster.count
        if measure_on is None:
            try:
                self._cluster.check_kinds()
            except LprcError:
                self.close()
                raise

    def evaluate(self, jobs: Sequence[Job]) -> list[Outcome]:
        """What comes of candidates; one over which several workers died has failed."""
        rows = [(self._question, job.candidate, job.bars) for job in jobs]
        futures = self._cluster.submit_all(_evaluate, rows)
        self.slots = max(1, self._cluster.count)
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
        future = self._cluster.submit(
            _ratios, self._question, first, files, rounds, resource=self._measure_on
        )
        ratios: list[PairedRatio] = self._cluster.result(future, self._measure_on)
        return ratios

    def close(self) -> None:
        """Leave the cluster; its workers stay."""
        self._cluster.close()

    def _outcome(self, future: Any, job: Job) -> Outcome:
        try:
            outcome, files = self._cluster.result(future)
        except WorkersLostError as error:
            return Outcome("failed", error.message)
        if files:
            write_folder(files, job.place)
        return outcome if isinstance(outcome, Outcome) else Outcome("failed", "no outcome")


# ---- on a worker

_EVALUATORS: dict[tuple[str, Question], Evaluator] = {}


def _evaluator(payload: bytes, digest: str, question: Question) -> Evaluator:
    """That of a question, whose files are unpacked where they are not there yet."""
    key = (digest, question)
    if key not in _EVALUATORS:
        _EVALUATORS[key] = Evaluator(question_in(in_parcel(payload, digest), question))
    return _EVALUATORS[key]


def _evaluate(
    payload: bytes, digest: str, question: Question, candidate: Any, bars: Bars
) -> tuple[Outcome, Files]:
    """An outcome, and the artefact's files where there is one."""
    with TURN, tempfile.TemporaryDirectory() as scratch:
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
    with TURN, tempfile.TemporaryDirectory() as scratch:
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
        return told_apart(first, places, inputs=sample, threads=threads, rounds=rounds)
