"""``--report`` and ``--report-sensitivity``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from lprc.cli import console
from lprc.cli.outputs import OutputArgument
from lprc.core.errors import OutputError, UsageError

if TYPE_CHECKING:
    from lprc.compiler.compile.model import Compiled
    from lprc.compiler.compile.request import CompileRequest
    from lprc.compiler.measure.sensitivity import LayerSensitivity
    from lprc.compiler.report.findings import Measurement
    from lprc.compiler.report.history import History

F = TypeVar("F", bound=Callable[..., object])


def report_options(function: F) -> F:
    """The two options."""
    for option in (
        click.option(
            "--report-sensitivity",
            is_flag=True,
            help="In the report, say what quantising each layer alone does; slow, needs --calib.",
        ),
        click.option(
            "--report",
            type=OutputArgument,
            help="Write one HTML page with what each pass did; --data and --bench add to it.",
        ),
    ):
        function = option(function)
    return function


def check_report(report: Path | None, out: Path, calib: Path | None, *, sensitivity: bool) -> None:
    """Refuse what can't become a report, before any work.

    Raises:
        UsageError: ``--report-sensitivity`` without ``--report`` or without images.
        OutputError: A file that can't be written, or that would be lost with the artefact.
    """
    if sensitivity and (report is None or calib is None):
        missing = "--report" if report is None else "--calib"
        raise UsageError(f"needs {missing}", where="--report-sensitivity", hint=f"add {missing}")
    if report is None:
        return
    if report.resolve().is_relative_to(out.resolve()):
        raise OutputError(
            "is in the artefact's folder, which holds the artefact alone",
            where=f"--report {report}",
            hint="name a file beside it",
        )
    if report.is_dir():
        raise OutputError("is a folder, not a file", where=f"--report {report}")
    if not report.parent.is_dir():
        raise OutputError(
            "no such folder", where=f"--report {report}", hint=f"make {report.parent} first"
        )


def compile_report(
    report: Path,
    model: Path,
    compiled: Compiled,
    history: History,
    rows: Sequence[Measurement],
    *,
    sensitivity: Sequence[LayerSensitivity],
) -> str:
    """Write the report and say where it is.

    Raises:
        OutputError: It can't be written.
    """
    from lprc.compiler.report.findings import Findings
    from lprc.compiler.report.page import write_report

    manifest = compiled.artifact.manifest or {}
    findings = Findings(
        source=model.name,
        target=str(manifest.get("target", "")),
        optimized=compiled.optimized,
        steps=history.steps,
        manifest=manifest,
        measurements=rows,
        sensitivity=sensitivity,
    )
    write_report(findings, report)
    return f"report: {report}, {console.size_text(report.stat().st_size)}"


def layer_sensitivity(
    request: CompileRequest, compiled: Compiled, *, asked: bool, quiet: bool
) -> Sequence[LayerSensitivity]:
    """What quantising each layer alone does: from the accuracy search, or measured if asked.

    Raises:
        UsageError: The pipeline quantises nothing.
    """
    if compiled.search is not None and compiled.search.layers:
        return compiled.search.layers
    samples = request.execution.calibration
    if not asked or not len(samples):
        return ()
    from lprc.cli.progress import reporter
    from lprc.compiler.measure.sensitivity import Quantizable, rank
    from lprc.core.passing.pipeline import Pipeline

    pipeline = Pipeline.parse(compiled.optimized.pipeline)
    graph = Quantizable(request.model.clone(), pipeline, samples)
    with reporter("sensitivity", quiet=quiet) as progress:
        return rank(graph, samples, progress=progress)
