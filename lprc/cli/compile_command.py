"""``lprc compile``: a model for a target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lprc.cli import console
from lprc.cli.common import (
    SEED,
    PathArgument,
    debug_option,
    json_option,
    quiet_option,
    task_option,
    threads_option,
    verbose_option,
    verify_option,
)
from lprc.cli.compile_cache import (
    CompileCache,
    check_depfile,
    depfile_options,
    no_cache_option,
)
from lprc.cli.input_options import input_options
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.pass_cost_options import costs_options
from lprc.cli.printing import PrintingCommand, printing, printing_options
from lprc.cli.report import check_report, report_options
from lprc.cli.say import say

if TYPE_CHECKING:
    from lprc.compiler.compile.model import Compiled
    from lprc.compiler.measure.sensitivity import Search


@click.command("compile", cls=PrintingCommand)
@click.argument("model", type=PathArgument)
@click.option("--target", required=True, help="What for; `lprc targets` lists them.")
@click.option("-o", "--out", required=True, type=OutputArgument, help="The folder to write.")
@click.option("--passes", help="Pipeline text instead of the target's own.")
@click.option("--then", help="Pipeline text to run behind it, for instance quantize-weights.")
@click.option(
    "--calib",
    type=PathArgument,
    help="Images, or .npz files of inputs, to calibrate and verify with; labels not needed.",
)
@input_options(fixed=True)
@click.option(
    "--data", type=PathArgument, help="Labelled samples: measure accuracy before and after."
)
@click.option("--bench", "measure", is_flag=True, help="Measure latency before and after.")
@click.option(
    "--emit",
    type=click.Choice(["onnx", "engine", "kit"]),
    default="engine",
    show_default=True,
    help="onnx stops at the lowered ONNX and needs no SDK; kit is what builds it on the device.",
)
@click.option(
    "-O",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE[,…]",
    help="An option of the target; `lprc targets NAME` lists them.",
)
@click.option(
    "--max-accuracy-drop",
    type=click.FloatRange(min=0, max=1),
    help="Leave layers in float until accuracy on --data (or agreement with the float graph on "
    "--calib) drops by no more than this.",
)
@click.option(
    "--min-accuracy",
    type=click.FloatRange(min=0, max=1),
    help="Refuse an artefact with a lower score on --data.",
)
@click.option(
    "--guard",
    is_flag=True,
    help="Compare with the float32 artefact of the same runtime; refuse one not worth shipping.",
)
@click.option(
    "--quantized",
    type=click.Choice(["refuse", "keep"]),
    default="refuse",
    show_default=True,
    help="What to do with a MODEL that is quantised already.",
)
@verify_option("final")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of random inputs.")
@click.option("--dump-dir", type=PathArgument, help="Write the model after each change here.")
@printing_options
@costs_options
@report_options
@depfile_options
@no_cache_option
@task_option
@click.option(
    "--embed",
    metavar="PARTS",
    callback=lambda _, __, text: tuple(text.split(",")) if text else (),
    help="Parts of the task that become part of the graph: preprocessing (it takes uint8 NHWC "
    "pixels), postprocessing (it gives answers), or both with a comma.",
)
@click.option(
    "--source-color",
    type=click.Choice(["BGR", "RGB"]),
    help="The order of colours in which pixels come to such a graph.  [default: the network's]",
)
@threads_option
@json_option
@quiet_option
@verbose_option
@click.option(
    "--check-passes", is_flag=True, help="Check that passes say truthfully what they changed."
)
@debug_option
def command(
    model: Path,
    target: str,
    out: Path,
    passes: str | None,
    then: str | None,
    calib: Path | None,
    inputs: Path | None,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    data: Path | None,
    measure: bool,
    emit: Any,
    options: tuple[str, ...],
    max_accuracy_drop: float | None,
    min_accuracy: float | None,
    guard: bool,
    quantized: Any,
    verify: str,
    seed: int,
    dump_dir: Path | None,
    print_changed: Any,
    print_before: tuple[str, ...],
    print_after: tuple[str, ...],
    time_passes: bool,
    stats: bool,
    report: Path | None,
    report_sensitivity: bool,
    depfile: Path | None,
    depfile_target: Path | None,
    no_cache: bool,
    task: str | None,
    embed: tuple[str, ...],
    source_color: Any,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    check_passes: bool,
) -> None:
    """Compile MODEL for a target and write the artefact, the lowered ONNX and manifest.json."""
    check_outputs()
    context = click.get_current_context()
    check_depfile(depfile, depfile_target)
    check_report(report, out, calib, sensitivity=report_sensitivity)
    cache = CompileCache(context, depfile, depfile_target, off=no_cache)
    restored = None if verbose else cache.restore()
    if restored is not None:
        _print_restored(restored, as_json=as_json, quiet=quiet)
        return

    from lprc.cli.compare_table import compare_document, measured
    from lprc.cli.pass_cost_options import cost_settings, stats_verify
    from lprc.cli.pass_table import records_document
    from lprc.cli.progress import reporter
    from lprc.cli.report import compile_report, layer_sensitivity
    from lprc.cli.settings import check_runs, verify_mode
    from lprc.compiler.compile.input_shapes import parsed_dims, parsed_shapes
    from lprc.compiler.compile.model import compile_model
    from lprc.compiler.compile.request import compile_request
    from lprc.compiler.compile.settings import Memory, Observation
    from lprc.compiler.report.history import History
    from lprc.core.passing.pipeline import parse_options

    silent = quiet or as_json
    chosen = parse_options(",".join(options))
    if data is not None or measure:
        check_runs(target, emit, chosen)
    printed = printing(print_changed, print_before, print_after, to_stderr=as_json)
    history = History()
    # A bar and lines would share the terminal.
    with reporter("compiling", quiet=silent or printed is not None) as progress:
        observation = Observation(
            printing=printed,
            costs=cost_settings(
                time_passes=time_passes,
                stats=stats,
                data=data,
                latency=measure,
                task=task,
                threads=threads,
            ),
            dump_dir=dump_dir,
            reproducer=out.with_name(f"{out.name}.broken"),
            check_passes=check_passes,
            instruments=() if report is None else (history,),
        )
        request = compile_request(
            model,
            target,
            out,
            passes=passes,
            then=then,
            emit=emit,
            options=chosen,
            calibration=calib,
            inputs=inputs,
            input_shapes=parsed_shapes(input_shapes),
            dims=parsed_dims(dims),
            verify=stats_verify(verify_mode(verify), stats=stats or report is not None),
            data=data,
            max_accuracy_drop=max_accuracy_drop,
            min_accuracy=min_accuracy,
            guard=guard,
            task=task,
            embed=embed,
            source_color=source_color,
            quantized=quantized,
            seed=seed,
            progress=progress,
            observation=observation,
            memory=Memory(cache.store),
        )
        compiled = compile_model(request)
    rows = measured(
        [model, out],
        data=data,
        latency=measure,
        task=task,
        threads=threads,
        quiet=silent,
        evaluated=compiled.evaluation,
        inputs=next(iter(request.execution.inputs or ()), None) if inputs is not None else None,
        sizes=request.execution.measured_sizes,
    )
    document = _document(compiled, rows, records_document, compare_document)
    document |= {"inputs": cache.input_names(), "cached": False}
    cache.finish({"document": document, "summary": _summary(compiled)})
    written = None
    if report is not None:
        layers = layer_sensitivity(request, compiled, asked=report_sensitivity, quiet=silent)
        written = compile_report(report, model, compiled, history, rows, sensitivity=layers)
    if as_json:
        console.print_json(document)
    elif not quiet:
        shown = _Shown(verbose=verbose, stats=stats, times=time_passes)
        _print(compiled, rows, shown, out)
        if written is not None:
            say(written)


@dataclass(frozen=True)
class _Shown:
    """What to print besides what is always told."""

    verbose: bool
    stats: bool
    times: bool


def _print(compiled: Compiled, rows: Any, shown: _Shown, out: Path) -> None:
    """What was done, as text."""
    from lprc.cli.compare_table import print_comparison
    from lprc.cli.pass_cost_options import print_stats, print_times
    from lprc.cli.pass_table import print_records
    from lprc.cli.precision_table import print_precision

    print_records(compiled.optimized, verbose=shown.verbose)
    say()
    if shown.stats:
        print_stats(compiled.optimized.costs)
        say()
    if shown.times:
        print_times(compiled.optimized.costs)
        say()
    print_precision(compiled.emitted)
    print_comparison(rows)
    if compiled.search is not None:
        say(f"\n{_search_text(compiled.search)}")
    if compiled.guarded is not None:
        say(f"\nguard: {compiled.guarded}")
    say(f"\n{out}: {_summary(compiled)}")


def _document(compiled: Compiled, rows: Any, records: Any, comparison: Any) -> dict[str, Any]:
    return {
        "output": str(compiled.artifact.path),
        "bytes": compiled.artifact.size_bytes,
        **records(compiled.optimized),
        "emitter": compiled.emitted.report,
        "warnings": [*compiled.optimized.warnings, *compiled.emitted.warnings],
        "comparison": comparison(rows),
        "accuracy_search": compiled.search.document() if compiled.search else None,
        "guard": compiled.guarded.document() if compiled.guarded else None,
    }


def _print_restored(restored: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    """What is told of an artefact that came from the cache."""
    document = restored["document"]
    if as_json:
        console.print_json(document)
    elif not quiet:
        for warning in document["warnings"]:
            console.note(f"warning: {warning}")
        for row in document["comparison"]:
            if row["score"] is not None:
                say(f"{row['artefact']}: {row['score']['metric']} {row['score']['value']:.4f}")
        say(f"{document['output']}: {restored['summary']}; from the cache (-v tells all)")


def _search_text(found: Search) -> str:
    """What was tried, and which layers stay in float."""
    lines = [
        f"{found.metric}: {found.reference:.4f} in float, {found.wanted:.4f} wanted",
        *(f"  {trial.score:.4f} with {len(trial.excluded)} in float" for trial in found.trials),
        f"in float: {', '.join(found.excluded) or 'none'} ({found.score:.4f})",
    ]
    return "\n".join(lines)


def _summary(compiled: Compiled) -> str:
    from lprc.cli.pass_table import agreement_text

    artifact = compiled.artifact
    names = ", ".join(file.name for file in artifact.files)
    checked = max((delta.relative for delta in compiled.deltas), default=None)
    verified = "" if checked is None else f"; outputs within {checked:.1e} of the lowered graph"
    agreement = agreement_text(compiled.optimized)
    return f"{names}, {console.size_text(artifact.size_bytes)}{verified}{agreement}"
