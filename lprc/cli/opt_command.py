"""``lprc opt``: run a pipeline of passes over a model, without a target."""

from __future__ import annotations

from pathlib import Path

import click

from lprc.cli import console
from lprc.cli.common import (
    PathArgument,
    debug_option,
    json_option,
    plates_option,
    quiet_option,
    verbose_option,
    verify_option,
)


@click.command("opt")
@click.argument("model", type=PathArgument)
@click.option("--passes", "pipeline", required=True, help="The pipeline, as text.")
@click.option("-o", "--out", required=True, type=PathArgument, help="The ONNX file to write.")
@verify_option("final")
@click.option(
    "--calib", type=PathArgument, help="Images for data-driven passes; labels not needed."
)
@plates_option
@click.option("--inputs", type=PathArgument, help="An .npz of inputs by name to verify with.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of random inputs.")
@click.option("--dump-dir", type=PathArgument, help="Write the model after each change here.")
@json_option
@quiet_option
@verbose_option
@click.option(
    "--check-passes", is_flag=True, help="Check that passes say truthfully what they changed."
)
@debug_option
def command(
    model: Path,
    pipeline: str,
    out: Path,
    verify: str,
    calib: Path | None,
    plates: str | None,
    inputs: Path | None,
    seed: int,
    dump_dir: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    check_passes: bool,
) -> None:
    """Run the passes of a pipeline over MODEL and write the result."""
    from lprc.cli.pass_table import print_records, records_document
    from lprc.cli.progress import reporter
    from lprc.cli.settings import plate_samples, read_inputs, verify_mode
    from lprc.compiler.optimize import Settings, optimize_file

    with reporter("passes", quiet=quiet or as_json) as progress:
        settings = Settings(
            verify=verify_mode(verify),
            inputs=read_inputs(inputs),
            calibration=plate_samples(calib, plates, model) or (),
            seed=seed,
            dump_dir=dump_dir,
            reproducer=out.with_name(f"{out.stem}.broken"),
            check_passes=check_passes,
            progress=progress,
        )
        result = optimize_file(model, pipeline, out, settings)
    if as_json:
        console.print_json({"output": str(out), **records_document(result)})
    elif not quiet:
        print_records(result, verbose=verbose)
