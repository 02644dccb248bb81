"""One option of a pipeline from value to value: what it costs and what it saves."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    steps = _Steps(progress, len(text.pipelines) + 1, measures)
    rows: list[SweepRow] = []
    for value, pipeline in ({UNCHANGED: text.unchanged} | text.pipelines).items():
        row = SweepRow(value, str(pipeline))
        place = folder / folder_name(value)
        try:
            request = compile_request(
                source,
                target,
                place,
                passes=row.pipeline,
                emit=emit,
                verify="off",
                calibration=fitted,
                progress=steps.inner(),
            )
            compile_model(request)
        except LprcError as error:
            if value == UNCHANGED:
                raise
            row = replace(row, error=str(error).splitlines()[0])
        else:
            row = _costs(row, place)
        steps.done()
        rows.append(row)
    rows = _measured(rows, folder, measures, held_out, steps)
    return Swept(text.option, rows[0], tuple(rows[1:]))


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


def _measured(
    rows: list[SweepRow],
    folder: Path,
    measures: Measures,
    held_out: Sequence[Arrays],
    steps: _Steps,
) -> list[SweepRow]:
    """The rows with accuracy, agreement and latency, as far as asked for."""
    places = [folder / folder_name(row.value) for row in rows if row.error is None]
    measurements: list[dict[str, Any]] = [{} for _ in places]
    if measures.data is not None:
        for place, values in zip(places, measurements, strict=True):
            read = evaluate(
                place,
                measures.data,
                task=measures.task,
                threads=measures.threads,
                progress=steps.inner(),
            )
            values["accuracy"] = read.accuracy
            steps.done()
    if len(held_out):
        _agree(places, measurements, held_out, measures.threads, steps.inner())
        steps.done()
    if measures.latency:
        timed = bench(
            places, sizes=measures.sizes, threads=measures.threads, progress=steps.inner()
        )
        for values, latency in zip(measurements, timed, strict=True):
            values["median_ms"] = latency.median_ms
            values["latency_ratio"] = latency.ratio_to_first
    remaining = iter(measurements)
    return [replace(row, **next(remaining)) if row.error is None else row for row in rows]


def _agree(
    places: list[Path],
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


class _Steps:
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
