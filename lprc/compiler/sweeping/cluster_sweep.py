"""A sweep on the workers of a Dask cluster: each value's compile is a task."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lprc.compiler.cluster.connection import TURN, Cluster, in_parcel
from lprc.compiler.cluster.parcels import (
    model_files,
    packed,
    read_folder,
    sample_files,
    task_files,
    write_folder,
)
from lprc.compiler.compile.samples import samples_of
from lprc.compiler.sweeping.pipeline_template import SweepText
from lprc.compiler.sweeping.sweep import (
    Measures,
    SweepRow,
    Swept,
    compared,
    compiled_row,
    folder_name,
    plain_rows,
    score_of_artefact,
    split,
    swept_of,
)
from lprc.core.onnx_io.model_io import load
from lprc.core.targets.emitter import Emit
from lprc.core.tasks.task_file import BY_MODEL, task_choice

Files = dict[str, bytes]


@dataclass(frozen=True)
class SweepJob:
    """What is the same for all values; it can be pickled.

    Attributes:
        source: An ONNX file.
        target: The target's name.
        emit: How far to compile.
        calib: Samples to fit to and to measure agreement on; None for none.
        task: What the model is for; None where it tells.
        measures: What to measure; its samples and task are read anew on each worker.
    """

    source: Path
    target: str
    emit: Emit
    calib: Path | None
    task: str | None
    measures: Measures


def sweep_on_cluster(
    job: SweepJob, text: SweepText, folder: Path, scheduler: str, measure_on: str | None
) -> Swept:
    """As `lprc.compiler.sweeping.sweep.sweep`, each value on a worker.

    Agreement and latency are measured by one worker, all artefacts in turn.

    Args:
        job: What is asked.
        text: The pipelines.
        folder: Where the artefacts go, each in a folder called like its value.
        scheduler: The address of Dask's scheduler.
        measure_on: A resource of the worker that measures latencies; None for any.

    Raises:
        MissingDependencyError: Dask is not installed.
        UsageError: No scheduler answers, or it has no workers.
        MachineError: The workers died.
        LprcError: As of `sweep`.
    """
    files = model_files(job.source, "model")
    measures, calib = replace(job.measures, samples=(), task=BY_MODEL), None
    if job.calib is not None:
        more, calib = sample_files(job.calib, "calibration")
        files |= more
    if measures.data is not None:
        more, data = sample_files(measures.data, "data")
        files |= more
        measures = replace(measures, data=data)
    more, task = task_files(job.task, "task")
    there = replace(
        job, source=Path("model", job.source.name), calib=calib, task=task, measures=measures
    )
    cluster = Cluster(scheduler, packed(files | more))
    try:
        futures = cluster.submit_all(_compile, [(there, row) for row in plain_rows(text)])
        answers = [cluster.result(future) for future in futures]
        compiled = [(row, artefact, score) for row, artefact, score in answers if row.error is None]
        for row, artefact, _ in compiled:
            write_folder(artefact, folder / folder_name(row.value))
        resource = measure_on if measures.latency else None
        artefacts = [artefact for _, artefact, _ in compiled]
        future = cluster.submit(_compare, there, artefacts, resource=resource)
        together = cluster.result(future, resource)
    finally:
        cluster.close()
    rows = [row for row, _, _ in answers]
    return swept_of(text, rows, [score for _, _, score in compiled], together)


# ---- on a worker


def _here(job: SweepJob, folder: Path) -> SweepJob:
    """The job with the places of its files in a parcel's folder."""
    task = None if job.task is None else folder / job.task
    own_task = task is not None and task.is_file()
    data = job.measures.data
    return replace(
        job,
        source=folder / job.source,
        calib=None if job.calib is None else folder / job.calib,
        task=str(task) if own_task else job.task,
        measures=replace(
            job.measures,
            data=None if data is None else folder / data,
            task=task_choice(str(task) if own_task else job.task),
        ),
    )


def _samples(job: SweepJob) -> tuple[Any, Any]:
    """What to fit to, and what to measure agreement on."""
    if job.calib is None:
        return (), ()
    model = load(job.source)
    return split(samples_of(model, str(job.source), job.calib, job.measures.task))


def _compile(
    payload: bytes, digest: str, job: SweepJob, row: SweepRow
) -> tuple[SweepRow, Files, float | None]:
    """A row with its costs, the artefact's files, and its score where there are labels."""
    with TURN, tempfile.TemporaryDirectory() as scratch:
        here = _here(job, in_parcel(payload, digest))
        fitted, _ = _samples(here)
        place = Path(scratch) / "artefact"
        compiled = compiled_row(row, here.source, here.target, place, fitted, here.emit)
        if compiled.error is not None:
            return compiled, {}, None
        return compiled, read_folder(place), score_of_artefact(place, here.measures)


def _compare(
    payload: bytes, digest: str, job: SweepJob, artefacts: Sequence[Files]
) -> list[dict[str, Any]]:
    """Agreement and latency of artefacts, the first of which is the one without the passes."""
    with TURN, tempfile.TemporaryDirectory() as scratch:
        here = _here(job, in_parcel(payload, digest))
        _, held_out = _samples(here)
        places = [Path(scratch) / str(index) for index in range(len(artefacts))]
        for files, place in zip(artefacts, places, strict=True):
            write_folder(files, place)
        return compared(places, here.measures, held_out)
