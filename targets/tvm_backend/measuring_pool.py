"""Workers that stay alive: a candidate that crashes, hangs or takes too long costs only itself.

A batch is built by all workers at once, then run one candidate after the other by the workers that
hold them, so that nothing else of ours runs while one is measured. On devices behind a tracker
each worker has a server to itself, so they run side by side.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lprc.targets.tvm_backend.measuring_process import LostError, MeasuringProcess

_T = TypeVar("_T")


@dataclass(frozen=True)
class Limits:
    """Seconds after which a worker is given up."""

    start: float = 60.0
    build: float = 30.0
    run: float = 10.0


@dataclass(frozen=True)
class Tracker:
    """TVM's tracker, and which of its devices."""

    host: str
    port: int
    key: str


@dataclass(frozen=True)
class Candidate:
    """A module to measure.

    Attributes:
        module: TVM's JSON text of a module whose function is ``main``.
        target: The target, as JSON data.
        arguments: Shape and element type of each parameter.
    """

    module: str
    target: dict[str, Any]
    arguments: list[tuple[list[int], str]]


@dataclass(frozen=True)
class Outcome:
    """Seconds of a call, or why there are none."""

    seconds: float | None
    error: str | None = None


@dataclass
class _Held:
    """A candidate that has been built: by which worker, in which of its lives."""

    candidate: Candidate
    worker: int
    life: int | None


@dataclass
class Counts:
    """How many candidates were built, run and lost so far, and the errors by their text."""

    built: int = 0
    run: int = 0
    lost: int = 0
    errors: dict[str, int] = field(default_factory=dict)


class MeasuringPool:
    """Builds and measures candidates; close it, or use it in a ``with``.

    Args:
        workers: How many processes.
        threads: How many threads a candidate's loops may use.
        tracker: Where the devices are; None for this machine.
        limits: When a worker is given up.
    """

    def __init__(
        self,
        workers: int,
        threads: int,
        tracker: Tracker | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._folder = tempfile.TemporaryDirectory(prefix="lprc-measure-")
        arguments = ["--folder", self._folder.name]
        if tracker is not None:
            where = f"{tracker.host}:{tracker.port}"
            timeout = str(max(1, round(self._limits.run)))
            arguments += ["--tracker", where, "--key", tracker.key, "--timeout", timeout]
        self._side_by_side = tracker is not None
        environment = {"TVM_NUM_THREADS": str(threads)}
        self._workers = [
            MeasuringProcess(arguments, environment, self._limits.start) for _ in range(workers)
        ]
        self._threads = ThreadPoolExecutor(workers)
        self._held: dict[int, _Held] = {}
        self._keys = 0
        self.counts = Counts()
        try:
            self._each_worker(lambda index: self._workers[index].start())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> MeasuringPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.close()
        self._threads.shutdown()
        self._folder.cleanup()

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self._workers)

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def build(self, candidates: Sequence[Candidate]) -> list[int | str]:
        """Compile them: a key to run each by, or why there is none."""
        keys = range(self._keys + 1, self._keys + 1 + len(candidates))
        self._keys += len(candidates)
        count = len(self._workers)

        def share(index: int) -> dict[int, int | str]:
            mine = list(zip(keys, candidates, strict=True))[index::count]
            return {key: self._build(key, candidate, index) for key, candidate in mine}

        results: dict[int, int | str] = {}
        for part in self._each_worker(share):
            results.update(part)
        return [results[key] for key in keys]

    def run(
        self, keys: Sequence[int], best: float | None = None, *, keep: bool = False
    ) -> list[Outcome]:
        """Measure what has been built.

        Args:
            keys: The keys that `build` returned.
            best: Seconds of the best candidate so far: far slower ones are not measured well.
            keep: Whether they will be run again.
        """
        if not self._side_by_side:
            return [self._run(key, best, keep=keep) for key in keys]

        shares: list[list[int]] = [[] for _ in self._workers]
        for key in keys:
            shares[self._held[key].worker].append(key)

        def share(index: int) -> dict[int, Outcome]:
            return {key: self._run(key, best, keep=keep) for key in shares[index]}

        outcomes: dict[int, Outcome] = {}
        for part in self._each_worker(share):
            outcomes.update(part)
        return [outcomes[key] for key in keys]

    def _each_worker(self, task: Callable[[int], _T]) -> list[_T]:
        return list(self._threads.map(task, range(len(self._workers))))

    def _build(self, key: int, candidate: Candidate, index: int) -> int | str:
        try:
            self._send_to_build(key, candidate, index)
        except (LostError, ValueError) as error:
            return self._failed(error)
        self._held[key] = _Held(candidate, index, self._workers[index].life)
        self.counts.built += 1
        return key

    def _send_to_build(self, key: int, candidate: Candidate, index: int) -> None:
        message = {"do": "build", "key": key, "module": candidate.module}
        self._ask(index, {**message, "target": candidate.target}, self._limits.build)

    def _run(self, key: int, best: float | None, *, keep: bool) -> Outcome:
        held = self._held[key] if keep else self._held.pop(key)
        message = {"do": "run", "key": key, "arguments": held.candidate.arguments}
        message |= {"best": best, "keep": keep}
        try:
            if held.life != self._workers[held.worker].life:  # lost with another candidate
                self._send_to_build(key, held.candidate, held.worker)
            seconds = self._ask(held.worker, message, self._limits.run)
        except (LostError, ValueError) as error:
            return Outcome(None, self._failed(error))
        self.counts.run += 1
        return Outcome(float(seconds))

    def _ask(self, index: int, message: dict[str, Any], seconds: float) -> Any:
        return self._workers[index].ask(message, seconds)

    def _failed(self, error: Exception) -> str:
        text = str(error)
        self.counts.lost += isinstance(error, LostError)
        self.counts.errors[text] = self.counts.errors.get(text, 0) + 1
        return text
