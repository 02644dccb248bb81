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


@click.command("compile")
@click.argument("model", type=PathArgument)
@click.option("--target", required=True, help="What for; `lprc targets` lists them.")
@click.option("-o", "--out", required=True, type=PathArgument, help="The folder to write.")
@click.option("--passes", help="Pipeline text instead of the target's own.")
@click.option("--calib", type=PathArgument, help="Images to verify with; labels not needed.")
@click.option(
    "--data", type=PathArgument, help="Labelled plates: measure accuracy before and after."
)
@click.option("--bench", "measure", is_flag=True, help="Measure latency before and after.")
@click.option(
    "--emit",
    type=click.Choice(["onnx", "engine"]),
    default="engine",
    show_default=True,
    help="onnx stops at the lowered ONNX and needs no SDK.",
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
    calib: Path | None,
    data: Path | None,
    measure: bool,
    emit: Any,
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
    from lprc.cli.progress import reporter
    from lprc.cli.settings import plate_inputs, verify_mode
    from lprc.compiler.compile import compile_model
    from lprc.compiler.optimize import Settings

    silent = quiet or as_json
    with reporter("passes", quiet=silent) as progress:
        settings = Settings(
            verify=verify_mode(verify),
            inputs=plate_inputs(calib, plates, model),
            seed=seed,
            dump_dir=dump_dir,
            reproducer=out.with_name(f"{out.name}.broken"),
            check_passes=check_passes,
            progress=progress,
        )
        compiled = compile_model(model, target, out, passes=passes, emit=emit, settings=settings)
    rows = measured(
        [model, out], data=data, latency=measure, plates=plates, threads=threads, quiet=silent
    )
    if as_json:
        console.print_json(_document(compiled, rows, records_document, compare_document))
    elif not quiet:
        print_records(compiled.optimized, verbose=verbose)
        click.echo()
        print_comparison(rows)
        click.echo(f"\n{_summary(compiled)}")


def _document(compiled: Compiled, rows: Any, records: Any, comparison: Any) -> dict[str, Any]:
    return {
        "output": str(compiled.artifact.path),
        "bytes": compiled.artifact.size_bytes,
        **records(compiled.optimized),
        "comparison": comparison(rows),
    }


def _summary(compiled: Compiled) -> str:
    artifact = compiled.artifact
    names = ", ".join(file.name for file in artifact.files)
    checked = max((delta.relative for delta in compiled.emitted), default=None)
    verified = "" if checked is None else f"; outputs within {checked:.1e} of the lowered graph"
    return f"{artifact.path}: {names}, {console.size_text(artifact.size_bytes)}{verified}"
