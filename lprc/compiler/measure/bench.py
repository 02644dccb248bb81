"""Latencies of several artefacts, measured in turn in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.artifact.artifact import Artifact, open_artifact
from lprc.core.errors import DataError
from lprc.core.running.numerics import RunError
from lprc.core.running.runner import Runner

BLOCK = 10
"""Measured runs of one artefact before the next one has its turn."""

SETTLE = 3
"""Runs before a block that are not measured: caches, and threads that have to wake up."""

PAUSE = 0.005
"""Seconds before a block, in which the last runtime's threads stop spinning."""


@dataclass(frozen=True)
class BenchRow:
    """One artefact's latencies.

    Attributes:
        name: What the user called it.
        backend: The runtime.
        median_ms: Median latency of a run in milliseconds.
        p95_ms: 95th percentile.
        min_ms: The fastest.
        ratio_to_first: The median over the blocks of its median latency over the first's.
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
    """Measure `artefacts` in turn, a block of A, a block of B, A, B …, on the same random inputs.

    Args:
        artefacts: Folders of ``compile`` or model files.
        batch: Size of a symbolic batch.
        threads: CPU threads of the runtimes.
        rounds: Measured runs of each, rounded up to whole blocks.
        warmup: Runs of each before that.
        seed: Of the inputs.
        progress: Called with the blocks done and their number.

    Raises:
        DataError: An input of a kind or size that can't be made up.
        RunError: A model that fails on the inputs that were made up.
    """
    opened = [open_artifact(name) for name in artefacts]
    runs = [_bound(artefact, batch, threads, seed) for artefact in opened]
    for run in runs:
        _times(run, warmup)
    blocks = -(-rounds // BLOCK)
    seconds: list[list[list[float]]] = [[] for _ in runs]
    for index in range(blocks):
        for run, taken in zip(runs, seconds, strict=True):
            time.sleep(PAUSE)
            _times(run, SETTLE)
            taken.append(_times(run, BLOCK))
        if progress is not None:
            progress(index + 1, blocks)
    milliseconds = [np.array(taken) * 1e3 for taken in seconds]
    return [
        _row(str(name), artefact, taken, milliseconds[0])
        for name, artefact, taken in zip(artefacts, opened, milliseconds, strict=True)
    ]


def _bound(artefact: Artifact, batch: int, threads: int | None, seed: int) -> Callable[[], object]:
    runner = artefact.runner(threads=threads)
    inputs = _inputs(runner, batch, seed, str(artefact.path))
    try:
        # Once outside of the timed loop, whose errors are the runtime's own.
        runner.run(inputs)
    except RunError as error:
        raise RunError(error.message, where=str(artefact.path)) from error
    return runner.bound(inputs)


def _inputs(runner: Runner, batch: int, seed: int, where: str) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    inputs = {}
    for name, shape in runner.inputs.items():
        dimensions = [batch if axis == 0 and dim is None else dim for axis, dim in enumerate(shape)]
        if None in dimensions:
            raise DataError(
                f"input '{name}' has symbolic dimensions besides its batch",
                where=where,
                hint="fix them in the model before measuring",
            )
        sizes = [int(dim or 0) for dim in dimensions]
        inputs[name] = _values(generator, sizes, runner.dtypes[name], f"{where}: input '{name}'")
    return inputs


def _values(
    generator: np.random.Generator, sizes: list[int], dtype: np.dtype[Any], where: str
) -> NDArray[Any]:
    if dtype.kind == "f":
        return generator.standard_normal(sizes).astype(dtype)
    if dtype.kind == "b":
        return generator.random(sizes) < 0.5
    if dtype.kind in "iu":
        # Small enough to be an index of most things; images are uint8.
        return generator.integers(0, 256 if dtype == np.uint8 else 2, sizes).astype(dtype)
    raise DataError("no values of its type can be made up", where=where)


def _times(run: Callable[[], object], count: int) -> list[float]:
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return taken


def _row(
    name: str, artefact: Artifact, blocks: NDArray[np.float64], first: NDArray[np.float64]
) -> BenchRow:
    """A row from the latencies in milliseconds, [blocks, runs]."""
    ratios = np.median(blocks, axis=1) / np.median(first, axis=1)
    return BenchRow(
        name=name,
        backend=artefact.backend,
        median_ms=float(np.median(blocks)),
        p95_ms=float(np.percentile(blocks, 95)),
        min_ms=float(blocks.min()),
        ratio_to_first=float(np.median(ratios)),
        size_bytes=artefact.size_bytes,
    )
