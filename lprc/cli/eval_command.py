"""``lprc eval``: how well a model or artefact does its task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lprc.cli import console
from lprc.cli.common import (
    PathArgument,
    debug_option,
    json_option,
    quiet_option,
    task_option,
    threads_option,
    verbose_option,
)
from lprc.cli.say import say

if TYPE_CHECKING:
    from lprc.compiler.measure.evaluation import Evaluation


@click.command("eval")
@click.argument("artefact", type=PathArgument)
@click.option(
    "--data", required=True, type=PathArgument, help="Labelled samples, as the task reads them."
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@task_option
@threads_option
@json_option
@quiet_option
@verbose_option
@debug_option
def command(
    artefact: Path,
    data: Path,
    batch: int,
    task: str | None,
    threads: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Measure how well ARTEFACT (a folder of `compile`, or a model file) does its task.

    Every score is printed with its 95 % confidence interval.
    """
    from lprc.cli.progress import reporter
    from lprc.compiler.measure.evaluation import evaluate
    from lprc.core.tasks.task_file import task_choice

    with reporter("evaluating", quiet=quiet or as_json) as progress:
        result = evaluate(
            artefact,
            data,
            task=task_choice(task),
            batch=batch,
            threads=threads,
            explain=True,
            progress=progress,
        )
    if as_json:
        console.print_json(result.document())
        return
    say(str(result))
    if result.remark:
        console.note(f"note: {result.remark}")
    if verbose:
        print_details(result)


def print_details(result: Evaluation) -> None:
    """Print what the task says besides the score, and the samples that were not perfect."""
    out = console.stdout()
    for name, value in result.task.details(result.score.records).items():
        if isinstance(value, dict):
            parts = [(key, "" if part is None else f"{part:.4f}") for key, part in value.items()]
            out.print(console.table([name, ">"], parts))
        elif isinstance(value, float):
            out.print(f"{name} {value:.4f}")
    rows = [
        (wrong.path.name, wrong.label, wrong.predicted, f"{wrong.score:.4f}")
        for wrong in result.wrong
    ]
    out.print(console.table(["file", "label", "answer", ">score"], rows))
