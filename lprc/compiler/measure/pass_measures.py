"""The accuracy and the latency of the graph after each pass that changed it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from lprc.compiler.measure.bench import bench
from lprc.compiler.measure.evaluation import evaluate
from lprc.core.errors import InvalidModelError
from lprc.core.instruments.pass_statistics import SOURCE
from lprc.core.onnx_io.model_io import save
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import RunError
from lprc.core.running.size_search import UnrunnableError
from lprc.core.tasks.task_file import BY_MODEL, TaskChoice

ROUNDS = 50
"""Measured runs of each graph: enough to rank passes, with a dozen graphs in turn."""


@dataclass(frozen=True)
class Measure:
    """What to measure after each change, in ONNX Runtime.

    Attributes:
        data: Labelled samples; None for none.
        task: What the model is for.
        latency: Whether to measure latencies.
        threads: CPU threads.
        sizes: Of symbolic dimensions, for latencies; those that are not known are searched for.
    """

    data: Path | None = None
    task: TaskChoice = BY_MODEL
    latency: bool = False
    threads: int | None = None
    sizes: InputSizes = field(default_factory=dict)


class PassMeasures(Instrument):
    """Runs the graph after each change. The graphs wait in a scratch folder for their latencies.

    Attributes:
        accuracy: By the pass's position; the source's at -1. Without those that do not run.
        median_ms: Likewise; measured in turn when all passes are done.
        warnings: What does not run.
    """

    def __init__(self, what: Measure) -> None:
        self.accuracy: dict[int, float] = {}
        self.median_ms: dict[int, float] = {}
        self.warnings: list[str] = []
        self._what = what
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._files: dict[int, Path] = {}

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Measure the source.

        Raises:
            DataError: The samples do not fit the model, or can't be read.
        """
        self._scratch = tempfile.TemporaryDirectory(prefix="lprc-stats-")
        self._measure(model, SOURCE, "the source graph")

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Measure again if the pass changed something.

        Raises:
            DataError: The samples do not fit the model any more.
        """
        if record.changed:
            self._measure(model, record.position, f"the graph after '{record.text}'")

    def finish(self, model: ir.Model, records: list[PassRecord]) -> None:
        """Measure the latencies, and forget the graphs."""
        assert self._scratch is not None
        if self._what.latency and self._files:
            rows = bench(
                list(self._files.values()),
                sizes=self._what.sizes,
                threads=self._what.threads,
                rounds=ROUNDS,
            )
            medians = (row.median_ms for row in rows)
            self.median_ms = dict(zip(self._files, medians, strict=True))
        self._scratch.cleanup()

    def _measure(self, model: ir.Model, position: int, what: str) -> None:
        assert self._scratch is not None
        path = Path(self._scratch.name) / f"{position + 1}.onnx"
        save(model, path)
        try:
            if self._what.data is not None:
                evaluation = evaluate(
                    path, self._what.data, task=self._what.task, threads=self._what.threads
                )
                self.accuracy[position] = evaluation.accuracy
            if self._what.latency:
                sizes, threads = self._what.sizes, self._what.threads
                bench([path], sizes=sizes, threads=threads, rounds=1, warmup=0)
        except (InvalidModelError, RunError, UnrunnableError) as error:
            self.warnings.append(f"not measured: {what} does not run: {error.message}")
            return
        if self._what.latency:
            self._files[position] = path
        else:
            path.unlink()
