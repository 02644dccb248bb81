"""``lprc compile``: a model for a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lprc.cli import console
from lprc.cli.common import (
    PathArgument,
    debug_option,
    json_option,
    plates_option,
    quiet_option,
    threads_option,
    verbose_option,
    verify_option,
)

if TYPE_CHECKING:
    from lprc.compiler.compile import Compiled
    from lprc.compiler.sensitivity import Search


@click.command("compile")
@click.argument("model", type=PathArgument)
@click.option("--target", required=True, help="What for; `lprc targets` lists them.")
@click.option("-o", "--out", required=True, type=PathArgument, help="The folder to write.")
@click.option("--passes", help="Pipeline text instead of the target's own.")
@click.option("--then", help="Pipeline text to run behind it, for instance quantize-weights.")
@click.option(
    "--calib", type=PathArgument, help="Images to calibrate and verify with; labels not needed."
)
@click.option(
    "--data", type=PathArgument, help="Labelled plates: measure accuracy before and after."
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
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of random inputs.")
@click.option("--dump-dir", type=PathArgument, help="Write the model after each change here.")
@plates_option
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
    data: Path | None,
    measure: bool,
    emit: Any,
    options: tuple[str, ...],
    max_accuracy_drop: float | None,
    guard: bool,
    quantized: Any,
    verify: str,
    seed: int,
    dump_dir: Path | None,
    plates: str | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    check_passes: bool,
) -> None:
    """Compile MODEL for a target and write the artefact, the lowered ONNX and manifest.json."""
    from lprc.cli.compare_table import compare_document, measured, print_comparison
    from lprc.cli.pass_table import print_records, records_document
    from lprc.cli.precision_table import print_precision
    from lprc.cli.progress import reporter
    from lprc.cli.settings import VERIFY_IMAGES, check_runs, plate_samples, verify_mode
    from lprc.compiler.compile import compile_model
    from lprc.compiler.demands import Demands
    from lprc.compiler.optimize import Settings
    from lprc.core.pipeline import parse_options
    from lprc.models.plate_config import PlateConfig

    silent = quiet or as_json
    chosen = parse_options(",".join(options))
    if data is not None or measure:
        check_runs(target, emit, chosen)
    samples = plate_samples(calib, plates, model)
    with reporter("compiling", quiet=silent) as progress:
        settings = Settings(
            verify=verify_mode(verify),
            inputs=None if samples is None else samples[:VERIFY_IMAGES],
            calibration=samples or (),
            seed=seed,
            dump_dir=dump_dir,
            reproducer=out.with_name(f"{out.name}.broken"),
            check_passes=check_passes,
            progress=progress,
        )
        demands = Demands(
            max_drop=max_accuracy_drop,
            guard=guard,
            data=data,
            config=PlateConfig.named(plates) if plates else None,
            progress=progress,
        )
        compiled = compile_model(
            model,
            target,
            out,
            passes=passes,
            then=then,
            emit=emit,
            options=chosen,
            settings=settings,
            demands=demands,
            quantized=quantized,
        )
    rows = measured(
        [model, out], data=data, latency=measure, plates=plates, threads=threads, quiet=silent
    )
    if as_json:
        console.print_json(_document(compiled, rows, records_document, compare_document))
    elif not quiet:
        print_records(compiled.optimized, verbose=verbose)
        click.echo()
        print_precision(compiled.emitted)
        print_comparison(rows)
        if compiled.search is not None:
            click.echo(f"\n{_search_text(compiled.search)}")
        if compiled.guarded is not None:
            click.echo(f"\nguard: {compiled.guarded}")
        click.echo(f"\n{_summary(compiled)}")


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


def _search_text(found: Search) -> str:
    """What was tried, and which layers stay in float."""
    lines = [
        f"{found.metric}: {found.reference:.4f} in float, {found.wanted:.4f} wanted",
        *(f"  {trial.score:.4f} with {len(trial.excluded)} in float" for trial in found.trials),
        f"in float: {', '.join(found.excluded) or 'none'} ({found.score:.4f})",
    ]
    return "\n".join(lines)


def _summary(compiled: Compiled) -> str:
    artifact = compiled.artifact
    names = ", ".join(file.name for file in artifact.files)
    checked = max((delta.relative for delta in compiled.deltas), default=None)
    verified = "" if checked is None else f"; outputs within {checked:.1e} of the lowered graph"
    return f"{artifact.path}: {names}, {console.size_text(artifact.size_bytes)}{verified}"
