"""Throughput and latencies of several artefacts under load, measured in turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lprc.compiler.measure.contestants import InputsOf, InterfaceInputs, contestants
from lprc.compiler.measure.paired import PairedRatio, paired_ratio
from lprc.core.process.together import together
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays

TURNS = 10
"""In how many parts the requests of each artefact are done, each artefact in turn."""

PERCENTILES = (50, 90, 95, 99)

_WARMUP = 3


@dataclass(frozen=True)
class LoadSettings:
    """How much is asked of an artefact.

    Attributes:
        streams: Requests at once, each with the model loaded for itself.
        requests: How many in all; None for as many as `duration` takes.
        duration: Seconds, where `requests` is None.
    """

    streams: int = 1
    requests: int | None = None
    duration: float = 10.0


@dataclass(frozen=True)
class LoadRow:
    """One artefact under load.

    Attributes:
        name: What the user called it.
        backend: The runtime.
        streams: Requests at once.
        requests: How many were answered.
        per_second: The median over the turns of requests a second.
        latency_ms: Of a request in milliseconds, by percentile.
        ratio: Its requests a second over the first's, paired by turns.
        size_bytes: Of the deployed files.
    """

    name: str
    backend: str
    streams: int
    requests: int
    per_second: float
    latency_ms: dict[str, float]
    ratio: PairedRatio
    size_bytes: int

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {**vars(self), "ratio": self.ratio.document()}


def under_load(
    artefacts: Sequence[str | Path],
    settings: LoadSettings,
    *,
    batch: int = 1,
    inputs: Arrays | InputsOf | InterfaceInputs | None = None,
    sizes: InputSizes | None = None,
    threads: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[LoadRow]:
    """Answer requests with each artefact in turn, several at once.

    Args:
        artefacts: As of `lprc.compiler.measure.bench.bench`.
        settings: How many requests.
        batch: As there; a request is one batch.
        inputs: As there.
        sizes: As there.
        threads: CPU threads of each stream.
        seed: As there.
        progress: Called with the turns done and their number.

    Raises:
        LprcError: As of `lprc.compiler.measure.bench.bench`.
    """
    ready = contestants(
        artefacts, batch=batch, inputs=inputs, sizes=sizes, threads=threads, seed=seed
    )
    streams = [
        [
            runner.bound(arrays),
            *(artefact.runner(threads=threads).bound(arrays) for _ in range(settings.streams - 1)),
        ]
        for artefact, runner, arrays in zip(ready.opened, ready.runners, ready.fed, strict=True)
    ]
    for run in (run for runs in streams for run in runs):
        for _ in range(_WARMUP):
            run()
    rates: list[list[float]] = [[] for _ in streams]
    latencies: list[list[float]] = [[] for _ in streams]
    for turn in range(TURNS):
        for runs, own_rates, own_latencies in zip(streams, rates, latencies, strict=True):
            taken, seconds = _turn(runs, settings)
            own_latencies += taken
            own_rates.append(len(taken) / seconds)
        if progress is not None:
            progress(turn + 1, TURNS)
    return [
        LoadRow(
            name=str(name),
            backend=artefact.backend,
            streams=settings.streams,
            requests=len(taken),
            per_second=float(np.median(own_rates)),
            latency_ms=_percentiles(taken),
            ratio=paired_ratio(own_rates, rates[0]),
            size_bytes=artefact.size_bytes,
        )
        for name, artefact, own_rates, taken in zip(
            artefacts, ready.opened, rates, latencies, strict=True
        )
    ]


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    values = np.percentile(np.asarray(seconds) * 1e3, PERCENTILES)
    return {f"p{rank}": float(value) for rank, value in zip(PERCENTILES, values, strict=True)}


def _turn(
    runs: Sequence[Callable[[], object]], settings: LoadSettings
) -> tuple[list[float], float]:
    """The seconds that each request took, and those that all of them took together."""
    left = None
    if settings.requests is not None:
        left = _Countdown(max(len(runs), -(-settings.requests // TURNS)))
    taken: list[list[float]] = [[] for _ in runs]
    stopping = threading.Event()

    def stream(run: Callable[[], object], own: list[float], wait: Callable[[], object]) -> None:
        wait()
        end = time.perf_counter() + settings.duration / TURNS
        while not stopping.is_set() and (
            left.take() if left is not None else not own or time.perf_counter() < end
        ):
            started = time.perf_counter()
            run()
            own.append(time.perf_counter() - started)

    works = [partial(stream, run, own) for run, own in zip(runs, taken, strict=True)]
    seconds = together(works, stopping)
    return [item for own in taken for item in own], seconds


class _Countdown:
    """Requests that are still to be answered, shared by the streams."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take one; False where none is left."""
        with self._lock:
            self._count -= 1
            return self._count >= 0
