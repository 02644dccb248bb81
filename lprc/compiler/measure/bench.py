"""Latencies of several artefacts, measured in turn in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.compiler.artifact.artifact import Artifact
from lprc.compiler.measure.contestants import InputsOf, InterfaceInputs, contestants
from lprc.compiler.measure.paired import PairedRatio, paired_ratio
from lprc.core.notebook import html_table
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays

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
        ratio: Its blocks' median latencies over the first's.
        size_bytes: Of the deployed files.
        shapes: Of the inputs that it was measured on, by name.
        invented: Sizes of those that nobody gave, of other dimensions than a batch, by label.
    """

    name: str
    backend: str
    median_ms: float
    p95_ms: float
    min_ms: float
    ratio: PairedRatio
    size_bytes: int
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    invented: Mapping[str, int] = field(default_factory=dict)

    @property
    def ratio_to_first(self) -> float:
        """The median over the blocks of its median latency over the first's."""
        return self.ratio.value

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        facts = {name: value for name, value in vars(self).items() if name != "ratio"}
        return {
            **facts,
            "ratio_to_first": self.ratio.value,
            "ratio_interval": self.ratio.document()["interval"],
            "shapes": shapes,
            "invented": dict(self.invented),
        }


COLUMNS = ("artefact", "runtime", ">median ms", ">p95 ms", ">ratio")
"""The titles of `texts`; those of numbers begin with ``>``."""


class BenchRows(list[BenchRow]):
    """The rows of one measurement; the first is what the others' ratios are to."""

    def texts(self) -> list[tuple[str, ...]]:
        """Each row as people read it, without its size."""
        return [
            (
                row.name,
                row.backend,
                f"{row.median_ms:.3f}",
                f"{row.p95_ms:.3f}",
                "1.000" if row is self[0] else str(row.ratio),
            )
            for row in self
        ]

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        sizes = [f"{row.size_bytes:,}" for row in self]
        cells = [(*texts, size) for texts, size in zip(self.texts(), sizes, strict=True)]
        return html_table("latency, measured in turn", (*COLUMNS, ">bytes"), cells)


def bench(
    artefacts: Sequence[str | Path],
    *,
    batch: int = 1,
    inputs: Arrays | InputsOf | InterfaceInputs | None = None,
    sizes: InputSizes | None = None,
    threads: int | None = None,
    rounds: int = 200,
    warmup: int = 20,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> BenchRows:
    """Measure `artefacts` in turn, a block of A, a block of B, A, B …, on the same random inputs.

    Args:
        artefacts: Folders of ``compile`` or model files.
        batch: Size of a symbolic batch.
        inputs: What to run them on, or what gives each its own; None for random inputs.
        sizes: Of symbolic dimensions of those; what is not known is searched for, the same for all.
        threads: CPU threads of the runtimes.
        rounds: Measured runs of each, rounded up to whole blocks.
        warmup: Runs of each before that.
        seed: Of the inputs.
        progress: Called with the blocks done and their number.

    Raises:
        DataError: An input of a kind that can't be made up, or one that `inputs` lacks.
        RunError: A model that fails on its inputs.
        UnrunnableError: No sizes were found that all of them run with.
    """
    ready = contestants(
        artefacts, batch=batch, inputs=inputs, sizes=sizes, threads=threads, seed=seed
    )
    runs = [runner.bound(arrays) for runner, arrays in zip(ready.runners, ready.fed, strict=True)]
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
    rows = [
        _row(str(name), artefact, taken, milliseconds[0])
        for name, artefact, taken in zip(artefacts, ready.opened, milliseconds, strict=True)
    ]
    return BenchRows(
        replace(
            row,
            shapes={name: array.shape for name, array in arrays.items()},
            invented=ready.invented,
        )
        for row, arrays in zip(rows, ready.fed, strict=True)
    )


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
    ratio = paired_ratio(np.median(blocks, axis=1), np.median(first, axis=1))
    return BenchRow(
        name=name,
        backend=artefact.backend,
        median_ms=float(np.median(blocks)),
        p95_ms=float(np.percentile(blocks, 95)),
        min_ms=float(blocks.min()),
        ratio=ratio,
        size_bytes=artefact.size_bytes,
    )
