"""``lprc bisect``: which pass, and which of its rewrites, breaks a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lprc.cli import console
from lprc.cli.common import (
    SEED,
    PathArgument,
    debug_option,
    json_option,
    quiet_option,
    task_option,
    verbose_option,
)
from lprc.cli.input_options import input_options
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.say import say

if TYPE_CHECKING:
    from lprc.compiler.bisect.run import Found


@click.command("bisect")
@click.argument("model", type=PathArgument, required=False)
@click.option("--passes", "pipeline", help="The pipeline, as text.")
@click.option("--target", help="Take the pipeline of this target.")
@click.option(
    "--check",
    metavar="'CMD {}'",
    help="Run this on a graph's file: exit code 0 is good, 125 can't be judged, others bad.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds a check may take; longer can't be judged.",
)
@click.option(
    "--metric",
    metavar="'NAME>=X'",
    help="accuracy>=, agreement>=, snr>= (dB), max_abs<= or bytes<=, and a number.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    help="Outputs may move by this share of the source's largest, instead of by the contracts.",
)
@click.option(
    "--calib", type=PathArgument, help="Images, or .npz files, to calibrate and to run graphs on."
)
@click.option("--data", type=PathArgument, help="Labelled samples, for --metric accuracy.")
@task_option
@input_options(fixed=True)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of random inputs.")
@click.option("-o", "--out", type=OutputArgument, help="The folder for a small reproducer.")
@click.option("--replay", type=PathArgument, help="Run such a folder again, and nothing else.")
@json_option
@quiet_option
@verbose_option
@debug_option
def command(
    model: Path | None,
    pipeline: str | None,
    target: str | None,
    check: str | None,
    timeout: float | None,
    metric: str | None,
    tolerance: float | None,
    calib: Path | None,
    data: Path | None,
    task: str | None,
    inputs: Path | None,
    input_shapes: tuple[str, ...],
    dims: tuple[str, ...],
    seed: int,
    out: Path | None,
    replay: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Find the first pass that makes MODEL bad, then the fewest of its rewrites.

    Bad is what --check, --metric or --tolerance say; without them, outputs that move by more
    than the passes promise.
    """
    check_outputs()
    if replay is not None:
        given = [model, pipeline, target, check, timeout, metric, tolerance, calib, inputs, out]
        if any(value is not None for value in given) or input_shapes or dims:
            raise click.UsageError("--replay takes no MODEL and no options but --data, --task.")
        _replay(replay, data, task, as_json=as_json, quiet=quiet)
        return
    if model is None:
        raise click.UsageError("Missing argument 'MODEL'.")
    if (pipeline is None) == (target is None):
        raise click.UsageError("Give one of --passes and --target.")
    from lprc.cli.progress import reporter
    from lprc.compiler.bisect.run import Question, bisect_file
    from lprc.compiler.compile.input_shapes import fixing, parsed_dims, parsed_shapes
    from lprc.compiler.compile.samples import execution_of
    from lprc.core.onnx_io.model_io import load
    from lprc.core.passing.pipeline import Pipeline
    from lprc.core.targets.target import target as find_target
    from lprc.core.tasks.task_file import task_choice

    text = find_target(target).pipeline if target is not None else pipeline
    execution = execution_of(
        load(model),
        str(model),
        calibration=calib,
        inputs=inputs,
        input_shapes=parsed_shapes(input_shapes),
        dims=parsed_dims(dims),
        task=task_choice(task),
        seed=seed,
    )
    question = Question(
        check=check,
        timeout=timeout,
        metric=metric,
        tolerance=tolerance,
        data=data,
        task=task_choice(task),
        inputs=execution.inputs,
        sizes=execution.sizes,
        seed=seed,
    )
    silent = quiet or as_json
    with reporter("bisecting", quiet=silent or verbose) as progress:
        outcome = bisect_file(
            model,
            str(fixing(execution.shapes, Pipeline.parse(text or ""))),
            question,
            calibration=execution.calibration,
            out=out,
            listener=(lambda done: console.note(str(done))) if verbose else None,
            progress=progress,
        )
    if as_json:
        folder = None if outcome.folder is None else str(outcome.folder)
        console.print_json({"model": str(model), "output": folder, **outcome.document()})
    elif not quiet:
        say(_text(outcome))


def _replay(
    folder: Path, data: Path | None, task: str | None, *, as_json: bool, quiet: bool
) -> None:
    """Say what a reproducer does today.

    Raises:
        PromiseBrokenError: The failure is still there.
    """
    from lprc.compiler.bisect.reproducer import replay
    from lprc.core.errors import PromiseBrokenError
    from lprc.core.tasks.task_file import task_choice

    replayed = replay(folder, data, task_choice(task))
    if as_json:
        console.print_json({"broken": replayed.broken, "detail": replayed.detail})
    if replayed.broken:
        raise PromiseBrokenError(f"still bad: {replayed.detail}", where=str(folder))
    if not (quiet or as_json):
        say(f"good: {replayed.detail}")


def _text(outcome: Found) -> str:
    culprit = outcome.culprit
    lines = [
        f"pass {record.position + 1} of {outcome.passes}: {record.text}"
        for record in culprit.records
    ]
    if len(culprit.records) > 1:
        lines.append("one of these: the graphs between them can't be judged")
    for number, rewrite in zip(culprit.numbers, culprit.rewrites, strict=True):
        where = f"{rewrite.node} ({rewrite.op_type})" if rewrite.node else "the graph as a whole"
        came_from = [origin for origin in rewrite.origins if origin != rewrite.node]
        behind = f", from {', '.join(came_from)}" if came_from else ""
        total = len(culprit.records[0].rewrites)
        lines.append(f"rewrite {number + 1} of {total}: {where}{behind}: {rewrite.note}")
    if len(culprit.numbers) > 1:
        lines.append("all of these together, and none of them can be left out")
    lines += [f"bad: {culprit.detail}", f"{culprit.count} checks"]
    if outcome.reduced is not None:
        size = f"{outcome.reduced.nodes} of {outcome.reduced.of} nodes"
        why = f" (not cut: {outcome.reduced.why})" if outcome.reduced.why else ""
        lines.append(f"reproducer: {outcome.folder}, {size}{why}")
        lines.append(
            f"replay: lprc bisect --replay {outcome.folder}"
            if outcome.replays
            else "it does not fail again when it is replayed"
        )
    return "\n".join(lines)
