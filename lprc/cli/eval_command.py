"""``lprc eval``: the plate accuracy of a model or artefact."""

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
    threads_option,
    verbose_option,
)
from lprc.cli.say import say


@click.command("eval")
@click.argument("artefact", type=PathArgument)
@click.option("--data", required=True, type=PathArgument, help="A folder of labelled plates.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@plates_option
@threads_option
@json_option
@quiet_option
@verbose_option
@debug_option
def command(
    artefact: Path,
    data: Path,
    batch: int,
    plates: str | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Measure exact plate matches of ARTEFACT (a folder of `compile`, or a model file)."""
    from lprc.cli.progress import reporter
    from lprc.compiler.measure.accuracy import evaluate
    from lprc.models.plate_config import PlateConfig

    with reporter("evaluating", quiet=quiet or as_json) as progress:
        result = evaluate(
            artefact,
            data,
            config=PlateConfig.named(plates) if plates else None,
            batch=batch,
            threads=threads,
            progress=progress,
        )
    if as_json:
        console.print_json(result.document())
        return
    say(f"accuracy {result.accuracy:.4f} ({result.correct} of {result.total} plates)")
    if verbose:
        rows = [(wrong.file, wrong.label, wrong.predicted) for wrong in result.wrong]
        console.stdout().print(console.table(["file", "label", "read as"], rows))
