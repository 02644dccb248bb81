"""Latencies of several artefacts, measured in turn in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lprc.compiler.artifact import Artifact, open_artifact
from lprc.compiler.runners import Runner
from lprc.core.errors import DataError

PAUSE = 0.0005
"""Seconds between two runs, in which the last runtime's threads stop spinning."""


@dataclass(frozen=True)
class BenchRow:
    """One artefact's latencies.

    Attributes:
        name: What the user called it.
        backend: The runtime.
        median_ms: Median latency of a run in milliseconds.
        p95_ms: 95th percentile.
        min_ms: The fastest.
        ratio_to_first: The median over the rounds of its latency over the first artefact's.
        size_bytes: Of the deployed files.
    """

    name: str
    backend: str
    median_ms: float
    p95_ms: float
    min_ms: float
    ratio_to_first: float
    size_bytes: int

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return dict(vars(self))


def bench(
    artefacts: Sequence[str | Path],
    *,
    batch: int = 1,
    threads: int | None = None,
    rounds: int = 200,
    warmup: int = 20,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[BenchRow]:
    """Measure `artefacts` in turn, A B A B …, on the same random inputs.

    Args:
        artefacts: Folders of ``compile`` or model files.
        batch: Size of a symbolic batch.
        threads: CPU threads of the runtimes.
        rounds: Measured runs of each.
        warmup: Runs of each before that.
        seed: Of the inputs.
        progress: Called with the rounds done and their number.

    Raises:
        DataError: An input of a kind or size that can't be made up.
    """
    opened = [open_artifact(name) for name in artefacts]
    runs = [_bound(each, batch, threads, seed) for each in opened]
    for _ in range(warmup):
        for run in runs:
            run()
    seconds = np.empty((rounds, len(runs)))
    for index in range(rounds):
        for column, run in enumerate(runs):
            time.sleep(PAUSE)
            started = time.perf_counter()
            run()
            seconds[index, column] = time.perf_counter() - started
        if progress is not None:
            progress(index + 1, rounds)
    return [
        _row(str(name), each, seconds[:, column] * 1e3, seconds[:, 0] * 1e3)
        for column, (name, each) in enumerate(zip(artefacts, opened, strict=True))
    ]


def _bound(artefact: Artifact, batch: int, threads: int | None, seed: int) -> Callable[[], object]:
    runner = artefact.runner(threads=threads)
    return runner.bound(_inputs(runner, batch, seed, str(artefact.path)))


def _inputs(runner: Runner, batch: int, seed: int, where: str) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    made = {}
    for name, shape in runner.inputs.items():
        known = [batch if axis == 0 and dim is None else dim for axis, dim in enumerate(shape)]
        if None in known:
            raise DataError(
                f"input '{name}' has symbolic dimensions besides its batch",
                where=where,
                hint="fix them in the model before measuring",
            )
        made[name] = generator.standard_normal([int(dim or 0) for dim in known], dtype=np.float32)
    return made


def _row(name: str, artefact: Artifact, milliseconds: Any, first: Any) -> BenchRow:
    return BenchRow(
        name=name,
        backend=artefact.backend,
        median_ms=float(statistics.median(milliseconds)),
        p95_ms=float(np.percentile(milliseconds, 95)),
        min_ms=float(milliseconds.min()),
        ratio_to_first=float(np.median(milliseconds / first)),
        size_bytes=artefact.size_bytes,
    )
