"""Who evaluates candidates: this process, or several on this machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lprc.compiler.measure.paired import PairedRatio
from lprc.compiler.searching.candidate import Candidate
from lprc.compiler.searching.evaluate import Evaluator, Question
from lprc.compiler.searching.latency import told_apart
from lprc.compiler.searching.outcome import Bars, Outcome
from lprc.core.running.numerics import Arrays


@dataclass(frozen=True)
class Job:
    """One candidate to evaluate.

    Attributes:
        candidate: It.
        place: Where its artefact goes.
        bars: What earlier trials say.
    """

    candidate: Candidate
    place: Path
    bars: Bars


class Workers(Protocol):
    """Evaluate candidates, several at once, and measure latencies.

    Attributes:
        slots: How many at once.
    """

    slots: int

    def evaluate(self, jobs: Sequence[Job]) -> list[Outcome]:
        """What comes of candidates, in their order; artefacts are at their places."""

    def ratios(
        self, incumbent: Path, places: Sequence[Path], *, rounds: int | None = None
    ) -> list[PairedRatio]:
        """Latencies of artefacts over the incumbent's, while nothing else of ours runs.

        Args:
            incumbent: An artefact, or the source.
            places: Artefacts.
            rounds: Runs of each; None for as many as it takes to tell them from the incumbent.
        """

    def close(self) -> None:
        """End them."""


class LocalWorkers:
    """This process, or processes of this machine; `Workers`.

    Args:
        evaluator: This process's.
        jobs: How many candidates at once.
        sample: What latencies are measured on; None for random inputs.
    """

    def __init__(self, evaluator: Evaluator, jobs: int, sample: Arrays | None) -> None:
        self.slots = jobs
        self._evaluator, self._sample = evaluator, sample
        self._pool = self._new_pool(jobs) if jobs > 1 else None

    def evaluate(self, jobs: Sequence[Job]) -> list[Outcome]:
        """What comes of candidates; one whose process crashes twice has failed."""
        if self._pool is None:
            return [self._evaluator.evaluate(job.candidate, job.place, job.bars) for job in jobs]
        try:
            futures = [self._pool.submit(_evaluate, job) for job in jobs]
        except BrokenProcessPool:
            self._pool = self._new_pool(self.slots)
            futures = [self._pool.submit(_evaluate, job) for job in jobs]
        outcomes = [self._result(future, job) for future, job in zip(futures, jobs, strict=True)]
        if any(isinstance(future.exception(), BrokenProcessPool) for future in futures):
            self._pool.shutdown(cancel_futures=True)
            self._pool = self._new_pool(self.slots)
        return outcomes

    def ratios(
        self, incumbent: Path, places: Sequence[Path], *, rounds: int | None = None
    ) -> list[PairedRatio]:
        """Latencies of artefacts over the incumbent's, in this process."""
        threads = self._evaluator.question.threads
        return told_apart(incumbent, places, inputs=self._sample, threads=threads, rounds=rounds)

    def close(self) -> None:
        """End the processes, whatever they do."""
        if self._pool is None:
            return
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()

    def _new_pool(self, jobs: int) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")  # runtimes' threads do not survive a fork
        question = self._evaluator.question
        return ProcessPoolExecutor(jobs, context, initializer=_prepare, initargs=(question,))

    def _result(self, future: Future[Outcome], job: Job) -> Outcome:
        """Its outcome; one whose process crashed, or was crashed beside, is tried alone."""
        try:
            return future.result()
        except BrokenProcessPool:
            alone = self._new_pool(1)
            try:
                return alone.submit(_evaluate, job).result()
            except BrokenProcessPool:
                return Outcome("failed", "it crashed its process")
            finally:
                alone.shutdown(cancel_futures=True)


_EVALUATORS: list[Evaluator] = []
"""That of a process of a pool."""


def _prepare(question: Question) -> None:
    _EVALUATORS[:] = [Evaluator(question)]


def _evaluate(job: Job) -> Outcome:
    return _EVALUATORS[0].evaluate(job.candidate, job.place, job.bars)
