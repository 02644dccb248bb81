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
from lprc.core.errors import UsageError

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

    A pipeline.toml is measured by boxes and the texts in them: COCO's annotations with `text`.
    Every score is printed with its 95 % confidence interval.
    """
    if artefact.suffix == ".toml":
        if task is not None:
            raise UsageError("is for one model", where="--task", hint=f"{artefact} has its own")
        print_pipeline_score(artefact, data, threads, as_json=as_json, quiet=quiet)
        return
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


def print_pipeline_score(
    file: Path, data: Path, threads: int | None, *, as_json: bool, quiet: bool
) -> None:
    """Measure a pipeline, and print how well it finds and reads."""
    from lprc.cli.progress import reporter
    from lprc.compiler.frames.built import built_networks
    from lprc.compiler.frames.evaluate import evaluate_pipeline
    from lprc.compiler.frames.read_pipeline import read_pipeline
    from lprc.compiler.frames.share import share_of_cores

    networks = built_networks(read_pipeline(file), share_of_cores(threads), weak_boxes=True)
    with reporter("evaluating", quiet=quiet or as_json) as progress:
        score = evaluate_pipeline(networks, data, progress)
    if as_json:
        console.print_json(score.document())
        return
    say(f"{networks.first.name}: {score.detection}")
    for reader in score.readers:
        say(f"{reader.name}, in the true boxes: {reader.true_boxes}")
        say(f"{reader.name}, end to end: {reader.end_to_end}")
        say(f"{reader.name}: {reader.right_readings} of {reader.readings} readings stand there")
    if not score.readers:
        console.note("note: no text is annotated that a model of the pipeline reads")


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
