"""``lprc sweep``: accuracy, cost and latency over the values of an option."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lprc.cli import console
from lprc.cli.common import (
    PathArgument,
    debug_option,
    json_option,
    quiet_option,
    task_option,
    threads_option,
)
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.core.errors import AccuracyError, UsageError

if TYPE_CHECKING:
    from lprc.compiler.sweeping.pipeline_template import SweepText
    from lprc.compiler.sweeping.sweep import SweepRow, Swept
    from lprc.core.targets.emitter import Emit


@click.command("sweep")
@click.argument("model", type=PathArgument)
@click.option(
    "--pass",
    "piece",
    help="Passes with {} for the value; they go into the target's pipeline, as far back as may be.",
)
@click.option("--passes", help="The whole pipeline with {} for the value instead.")
@click.option("--values", required=True, metavar="VALUE,…", help="What stands for {}.")
@click.option("--target", default="onnx", show_default=True, help="What to compile for.")
@click.option(
    "--calib", type=PathArgument, help="Images without labels: to calibrate, and for agreement."
)
@click.option("--data", type=PathArgument, help="Labelled samples: measure accuracy.")
@click.option("--bench", "measure", is_flag=True, help="Measure latency, all values in turn.")
@click.option("-o", "--out", type=OutputArgument, help="A folder to keep the artefacts in.")
@click.option("--plot", type=OutputArgument, help="Draw the curves into this .svg or .png.")
@click.option(
    "--dim",
    "dims",
    multiple=True,
    metavar="NAME=640",
    help="A symbolic dimension's size where latency is measured. Repeatable.",
)
@click.option("--scheduler", metavar="tcp://…", help="Compile on the workers of a Dask cluster.")
@click.option(
    "--measure-on", metavar="RESOURCE", help="Latencies on one of its workers with this resource."
)
@task_option
@threads_option
@json_option
@quiet_option
@debug_option
def command(
    model: Path,
    piece: str | None,
    passes: str | None,
    values: str,
    target: str,
    calib: Path | None,
    data: Path | None,
    measure: bool,
    out: Path | None,
    plot: Path | None,
    dims: tuple[str, ...],
    scheduler: str | None,
    measure_on: str | None,
    task: str | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Compile MODEL once for each value of an option, and measure what comes out side by side.

    A value that can't be compiled has a row that says why, and the exit code is 6 then.
    """
    check_outputs()
    from lprc.cli.progress import reporter
    from lprc.cli.settings import calibration_samples
    from lprc.cli.sweep_plot import check_plot, draw
    from lprc.compiler.compile.input_shapes import parsed_dims, run_sizes
    from lprc.compiler.sweeping.sweep import Measures, sweep
    from lprc.core.onnx_io.model_io import load
    from lprc.core.tasks.task_file import task_choice

    if plot is not None:
        check_plot(plot)
    text = _text(piece, passes, values, target)
    emit = _emit(target)
    if measure_on is not None and scheduler is None:
        raise UsageError("it names workers of a --scheduler", where="--measure-on")
    measures = Measures(
        samples=() if scheduler else calibration_samples(calib, task, model) or (),
        data=data,
        task=task_choice(task),
        latency=measure,
        threads=threads,
        sizes=run_sizes(load(model), {}, parsed_dims(dims), str(model)) if dims else {},
    )
    with (
        tempfile.TemporaryDirectory() if out is None else nullcontext(str(out)) as folder,
        reporter("sweeping", quiet=quiet or as_json) as progress,
    ):
        if scheduler is None:
            swept = sweep(model, target, text, Path(folder), measures, emit=emit, progress=progress)
        else:
            from lprc.compiler.sweeping.cluster_sweep import SweepJob, sweep_on_cluster

            job = SweepJob(model, target, emit, calib, task, measures)
            swept = sweep_on_cluster(job, text, Path(folder), scheduler, measure_on)
    if plot is not None:
        draw(swept, f"{model.name} for {target}\n{piece or passes}", plot)
    if as_json:
        console.print_json(_document(swept, model, target))
    elif not quiet:
        console.stdout().print(_table(swept))
    for row in swept.failed:
        console.note(f"{swept.option}={row.value}: {row.error}")
    return AccuracyError.exit_code if swept.failed else 0


def _text(piece: str | None, passes: str | None, values: str, target: str) -> SweepText:
    """What to sweep.

    Raises:
        UsageError: Neither or both of the two options, or text that can't be read.
    """
    from lprc.compiler.sweeping.pipeline_template import piece_sweep, pipeline_sweep
    from lprc.core.targets.target import target as find_target

    given = [value.strip() for value in values.split(",") if value.strip()]
    around = find_target(target).pipeline
    if (piece is None) == (passes is None):
        raise UsageError(
            "give one of --pass and --passes",
            where="sweep",
            hint="for instance --pass 'prune-channels{target-macs={}}'",
        )
    if piece is not None:
        return piece_sweep(piece, around, given)
    assert passes is not None
    return pipeline_sweep(passes, given)


def _emit(target: str) -> Emit:
    """Engines where they run here; else the lowered graphs, and a note says why."""
    from lprc.compiler.compile.emitters import obstacle, read_options
    from lprc.core.targets.target import target as find_target

    goal = find_target(target)
    why = obstacle(goal, read_options(goal, {}))
    if why is None:
        return "engine"
    console.note(f"note: {why}; the lowered graphs are measured in ONNX Runtime")
    return "onnx"


def _document(swept: Swept, model: Path, target: str) -> dict[str, Any]:
    return {
        "model": str(model),
        "target": target,
        "option": swept.option,
        "unchanged": swept.unchanged.document(),
        "rows": [row.document() for row in swept.rows],
    }


def _table(swept: Swept) -> Any:
    rows = [swept.unchanged, *swept.rows]
    columns = [swept.option, ">MACs", ">parameters", ">size"]
    shown = [column for column in _OPTIONAL if any(column[1](row) for row in rows)]
    columns += [title for title, _ in shown]
    cells = [[*_cells(row, swept.unchanged), *(text(row) for _, text in shown)] for row in rows]
    return console.table(columns, cells)


def _cells(row: SweepRow, whole: SweepRow) -> list[str]:
    if row.macs is None or row.parameters is None or row.size_bytes is None:
        return [row.value, "failed", "", ""]
    return [
        row.value,
        _count(row.macs, whole.macs),
        _count(row.parameters, whole.parameters),
        console.size_text(row.size_bytes),
    ]


def _count(number: int, whole: int | None) -> str:
    """For instance ``47.0 M (70 %)``."""
    share = f" ({100 * number / whole:.0f} %)" if whole else ""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}{share}"
    return f"{number}{share}"


def _decibels(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if math.isfinite(value) else "∞"


_OPTIONAL: tuple[tuple[str, Callable[[SweepRow], str]], ...] = (
    (">accuracy", lambda row: "" if row.accuracy is None else f"{row.accuracy:.4f}"),
    (">agreement", lambda row: "" if row.agreement is None else f"{row.agreement:.4f}"),
    (">SNR dB", lambda row: _decibels(row.snr_db)),
    (">median ms", lambda row: "" if row.median_ms is None else f"{row.median_ms:.3f}"),
    (">ratio", lambda row: "" if row.latency_ratio is None else f"{row.latency_ratio:.3f}"),
)
"""Columns that are shown where they were measured."""
