"""One option of a pipeline from value to value: what it costs and what it saves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from lprc.compiler.artifact.artifact import LOWERED, open_artifact
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.compile.settings import Report
from lprc.compiler.measure.bench import bench
from lprc.compiler.measure.evaluation import evaluate
from lprc.compiler.sweeping.pipeline_template import SweepText
from lprc.core.costs.statistics import model_statistics
from lprc.core.errors import LprcError
from lprc.core.onnx_io.model_io import load
from lprc.core.running.agreement import agreement
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays
from lprc.core.running.signal_to_noise import SignalToNoise
from lprc.core.targets.emitter import Emit
from lprc.core.tasks.task_file import BY_MODEL, TaskChoice

UNCHANGED = "unchanged"
"""What the row without the swept passes is called, and its folder."""

HELD_OUT = 5
"""Of every so many samples one is not fitted to: agreement is measured on these."""


@dataclass(frozen=True)
class SweepRow:
    """What one value gives; what was not asked for, or failed, is None.

    Attributes:
        value: Its text; `UNCHANGED` for the pipeline without the swept passes.
        pipeline: The canonical text of all passes.
        error: Why there is no artefact.
        accuracy: The task's score on the data.
        agreement: How far the artefact's outputs agree with the unchanged one's, from 0 to 1: the
            share of positions with the same largest class (see `lprc.core.running.agreement`).
        snr_db: The unchanged outputs over the difference, in decibels; infinite without one.
        macs: Multiply-accumulates of the lowered graph; dimensions that are not known count as 1.
        parameters: Of the lowered graph.
        size_bytes: Of the deployed files.
        median_ms: Median latency in milliseconds.
        latency_ratio: The median over the blocks of the latency over the unchanged one's, measured
            in turn in one run.
    """

    value: str
    pipeline: str
    error: str | None = None
    accuracy: float | None = None
    agreement: float | None = None
    snr_db: float | None = None
    macs: int | None = None
    parameters: int | None = None
    size_bytes: int | None = None
    median_ms: float | None = None
    latency_ratio: float | None = None

    def document(self) -> dict[str, Any]:
        """As JSON data; an infinite ratio of signal to noise is null."""
        finite = self.snr_db is not None and math.isfinite(self.snr_db)
        return {**vars(self), "snr_db": self.snr_db if finite else None}


@dataclass(frozen=True)
class Swept:
    """A sweep: the row to compare with, and one for each value in the order given."""

    option: str
    unchanged: SweepRow
    rows: tuple[SweepRow, ...]

    @property
    def failed(self) -> list[SweepRow]:
        """The values that have no artefact."""
        return [row for row in self.rows if row.error is not None]


@dataclass(frozen=True)
class Measures:
    """What to measure besides size and multiply-accumulates.

    Attributes:
        samples: Inputs without labels: to calibrate with, and for agreement.
        data: Labelled samples.
        task: What the model is for.
        latency: Whether to measure it.
        threads: CPU threads of the runtimes.
        sizes: Of symbolic dimensions, where latency is measured.
    """

    samples: Sequence[Arrays] = ()
    data: Path | None = None
    task: TaskChoice = BY_MODEL
    latency: bool = False
    threads: int | None = None
    sizes: InputSizes = field(default_factory=dict)


def sweep(
    source: Path,
    target: str,
    text: SweepText,
    folder: Path,
    measures: Measures,
    *,
    emit: Emit = "engine",
    progress: Report | None = None,
) -> Swept:
    """Compile `source` once for each value, and measure what comes out side by side.

    Args:
        source: An ONNX file.
        target: The target's name.
        text: The pipelines.
        folder: Where the artefacts go, each in a folder called like its value.
        measures: What to measure.
        emit: ``onnx`` measures the lowered graphs in ONNX Runtime.
        progress: Called with the steps done and their number.

    Raises:
        LprcError: The pipeline without the swept passes can't be compiled or measured. Where a
            value's can't be compiled, its row says why.
    """
    fitted, held_out = split(measures.samples)
    steps = Steps(progress, len(text.pipelines) + 1, measures)
    rows: list[SweepRow] = []
    for row in plain_rows(text):
        compiled = compiled_row(
            row, source, target, folder / folder_name(row.value), fitted, emit, steps.inner()
        )
        steps.done()
        rows.append(compiled)
    places = [folder / folder_name(row.value) for row in rows if row.error is None]
    accuracies = [score_of_artefact(place, measures, steps) for place in places]
    together = compared(places, measures, held_out, steps)
    return swept_of(text, rows, accuracies, together)


def plain_rows(text: SweepText) -> list[SweepRow]:
    """A row for each pipeline, before anything is done: first that without the swept passes."""
    pipelines = {UNCHANGED: text.unchanged} | text.pipelines
    return [SweepRow(value, str(pipeline)) for value, pipeline in pipelines.items()]


def compiled_row(
    row: SweepRow,
    source: Path,
    target: str,
    place: Path,
    fitted: Sequence[Arrays],
    emit: Emit,
    progress: Report | None = None,
) -> SweepRow:
    """Compile a row's pipeline to `place`; the row with what it costs, or why it failed.

    Raises:
        LprcError: The pipeline without the swept passes can't be compiled.
    """
    try:
        request = compile_request(
            source,
            target,
            place,
            passes=row.pipeline,
            emit=emit,
            verify="off",
            calibration=fitted,
            progress=progress,
        )
        compile_model(request)
    except LprcError as error:
        if row.value == UNCHANGED:
            raise
        return replace(row, error=str(error).splitlines()[0])
    return _costs(row, place)


def swept_of(
    text: SweepText,
    rows: Sequence[SweepRow],
    accuracies: Sequence[float | None],
    together: Sequence[Mapping[str, Any]],
) -> Swept:
    """A sweep of rows and of what was measured of those that are artefacts, in their order."""
    measurements = iter(zip(accuracies, together, strict=True))
    measured: list[SweepRow] = []
    for row in rows:
        if row.error is None:
            accuracy, values = next(measurements)
            measured.append(replace(row, accuracy=accuracy, **values))
        else:
            measured.append(row)
    return Swept(text.option, measured[0], tuple(measured[1:]))


def folder_name(value: str) -> str:
    """A folder's name for `value`."""
    safe = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in value)
    return safe.strip(".") or "_"


def split(samples: Sequence[Arrays]) -> tuple[Sequence[Arrays], Sequence[Arrays]]:
    """What to fit to, and what to measure agreement on: all of both where there are few."""
    count = len(samples)
    if count < 2 * HELD_OUT:
        return samples, samples
    held_out = range(HELD_OUT - 1, count, HELD_OUT)
    fitted = [index for index in range(count) if index not in held_out]
    return _Part(samples, fitted), _Part(samples, held_out)


class _Part(Sequence[Arrays]):
    """Some of the samples, read when they are looked at."""

    def __init__(self, samples: Sequence[Arrays], indices: Sequence[int]) -> None:
        self._samples = samples
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Arrays: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Arrays]: ...
    def __getitem__(self, index: int | slice) -> Arrays | Sequence[Arrays]:
        if isinstance(index, slice):
            return _Part(self._samples, self._indices[index])
        return self._samples[self._indices[index]]


def _costs(row: SweepRow, place: Path) -> SweepRow:
    counted = model_statistics(load(place / LOWERED))
    return replace(
        row,
        macs=counted.macs,
        parameters=counted.parameters,
        size_bytes=open_artifact(place).size_bytes,
    )


def score_of_artefact(place: Path, measures: Measures, steps: Steps | None = None) -> float | None:
    """The score of an artefact on the labelled samples; None where there are none."""
    if measures.data is None:
        return None
    progress = None if steps is None else steps.inner()
    read = evaluate(
        place, measures.data, task=measures.task, threads=measures.threads, progress=progress
    )
    if steps is not None:
        steps.done()
    return read.accuracy


def compared(
    places: Sequence[Path],
    measures: Measures,
    held_out: Sequence[Arrays],
    steps: Steps | None = None,
) -> list[dict[str, Any]]:
    """Agreement with the first artefact and latency over its own, as far as asked for."""
    measurements: list[dict[str, Any]] = [{} for _ in places]
    progress = None if steps is None else steps.inner()
    if len(held_out):
        _agree(places, measurements, held_out, measures.threads, progress)
        if steps is not None:
            steps.done()
            progress = steps.inner()
    if measures.latency:
        timed = bench(places, sizes=measures.sizes, threads=measures.threads, progress=progress)
        for values, latency in zip(measurements, timed, strict=True):
            values["median_ms"] = latency.median_ms
            values["latency_ratio"] = latency.ratio_to_first
    return measurements


def _agree(
    places: Sequence[Path],
    measurements: list[dict[str, Any]],
    samples: Sequence[Arrays],
    threads: int | None,
    report: Report | None,
) -> None:
    """Add how far the outputs of each artefact agree with those of the first."""
    runners = [open_artifact(place).runner(threads=threads) for place in places]
    agreements: list[list[float]] = [[] for _ in runners]
    noise = [SignalToNoise() for _ in runners]
    for index, sample in enumerate(samples):
        expected = runners[0].run(sample)
        for runner, shares, ratio in zip(runners, agreements, noise, strict=True):
            outputs = runner.run(sample)
            shares += [agreement(array, outputs[name]) for name, array in expected.items()]
            ratio.add(expected, outputs)
        if report is not None:
            report(index + 1, len(samples))
    for values, shares, ratio in zip(measurements, agreements, noise, strict=True):
        values["agreement"] = float(np.mean(shares)) if shares else 1.0
        values["snr_db"] = ratio.decibels


class Steps:
    """Progress over steps that have progress of their own."""

    def __init__(self, report: Report | None, count: int, measures: Measures) -> None:
        self._report = report
        self._done = 0
        evaluations = count if measures.data is not None else 0
        self._total = count + evaluations + bool(len(measures.samples)) + measures.latency

    def inner(self) -> Report | None:
        """For the step at hand: its part of the whole."""
        report = self._report
        if report is None:
            return None
        return lambda done, total: report(self._done + done / max(total, 1), self._total)

    def done(self) -> None:
        """One step is done."""
        self._done += 1
        if self._report is not None:
            self._report(self._done, self._total)
