"""``lprc search``: the best artefacts for a budget, over targets and what can be done to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

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
)
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.compiler.project.duration import seconds_of
from lprc.core.errors import UsageError

if TYPE_CHECKING:
    from lprc.compiler.searching.run import Found, Pick
    from lprc.compiler.searching.study import Objective, Sampler


@click.command("search")
@click.argument("model", type=PathArgument)
@click.option("--data", type=PathArgument, required=True, help="Labelled samples that judge.")
@click.option("--calib", type=PathArgument, help="Samples to calibrate with; without: no int8.")
@click.option(
    "--objective",
    default="latency,size",
    show_default=True,
    help="What to make small, of latency, size and accuracy (the drop), one or several.",
)
@click.option(
    "--max-accuracy-drop",
    "max_drop",
    type=click.FloatRange(0, 1),
    default=0.005,
    show_default=True,
    help="How much lower than the source's score an artefact's may be, on all of --data.",
)
@click.option(
    "--budget", default="10min", show_default=True, help="How long, for instance 90s, 1h30min."
)
@click.option("--trials", type=click.IntRange(min=1), help="End after so many trials.")
@click.option("--targets", help="Patterns, for instance ov-*,tvm-int8.  [default: what works here]")
@click.option(
    "--space", "spaces", multiple=True, type=PathArgument, help="A TOML file with more knobs."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of what is tried.")
@click.option(
    "--sampler",
    type=click.Choice(["tpe", "nsga", "random"]),
    default="tpe",
    show_default=True,
    help="How what is tried next follows from what came of the rest.",
)
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--study", type=OutputArgument, help="The folder of what was tried.  [default: MODEL.search]"
)
@click.option("--storage", metavar="URL", help="One of Optuna's storages instead of a file in it.")
@click.option("--resume", is_flag=True, help="Go on with a study.")
@click.option(
    "--reuse",
    is_flag=True,
    help="Go on with one of the same until --budget and --trials are spent in all; begin anew "
    "where model, data, options, lprc, an SDK or the machine is another.",
)
@click.option("--scheduler", metavar="tcp://…", help="Evaluate on the workers of a Dask cluster.")
@click.option(
    "--measure-on", metavar="RESOURCE", help="Latencies on its workers with this resource only."
)
@click.option(
    "--pick", type=click.Choice(["fastest", "smallest"]), help="Which one to write to -o."
)
@click.option("-o", "--out", type=OutputArgument, help="The artefact that is picked.")
@task_option
@threads_option
@json_option
@quiet_option
@debug_option
def command(model: Path, as_json: bool, quiet: bool, **given: Any) -> int:
    """Find the fastest and smallest artefacts of MODEL that are accurate enough.

    The study keeps all trials: Ctrl-C, kill -9 or a power cut lose those that were running, and
    --resume goes on.
    """
    check_outputs()
    from lprc.cli.progress import reporter
    from lprc.compiler.searching.run import run_search

    request = _request(model, given)
    with reporter("searching", quiet=quiet or as_json) as progress:
        result = run_search(request, progress=progress)
    for name, why in result.left_out.items():
        if not quiet:
            console.note(f"note: {name} is left out: {why}")
    if as_json:
        console.print_json({**result.document, "inputs": _inputs(model, given)})
    elif not quiet:
        _print(result, request.folder)
    return 0


def _inputs(model: Path, given: Mapping[str, Any]) -> list[str]:
    """The files that were read, as they were named."""
    from lprc.compiler.cache.input_files import input_files

    places = {name: given[name] for name in ("calib", "data", "task")}
    return [str(path) for path in (*input_files(model, **places).files, *given["spaces"])]


def _request(model: Path, given: Mapping[str, Any]) -> Any:
    from lprc.compiler.searching.evaluate import Question
    from lprc.compiler.searching.run import SearchRequest
    from lprc.compiler.searching.search import Limits

    if (given["pick"] is None) != (given["out"] is None):
        missing = "-o" if given["out"] is None else "--pick"
        raise UsageError(
            "--pick and -o belong together", where="search", hint=f"give {missing} too"
        )
    if given["reuse"] and (given["resume"] or given["storage"] is not None):
        other = "--resume" if given["resume"] else "--storage"
        raise UsageError("it does not go with --reuse", where=other, hint="leave one out")
    if given["measure_on"] is not None and given["scheduler"] is None:
        raise UsageError("it names workers of a --scheduler", where="--measure-on")
    question = Question(
        model=model.absolute(),
        data=given["data"].absolute(),
        calibration=None if given["calib"] is None else given["calib"].absolute(),
        task=given["task"],
        max_drop=given["max_drop"],
        threads=given["threads"],
        seed=given["seed"],
    )
    return SearchRequest(
        question=question,
        folder=given["study"] or Path(f"{model.stem}.search"),
        limits=Limits(seconds_of(given["budget"]), given["trials"]),
        objectives=_objectives(given["objective"]),
        targets=tuple(_parts(given["targets"] or "")),
        spaces=given["spaces"],
        seed=given["seed"],
        sampler=cast("Sampler", given["sampler"]),
        jobs=given["jobs"],
        storage=given["storage"],
        resume=given["resume"],
        reuse=given["reuse"],
        scheduler=given["scheduler"],
        measure_on=given["measure_on"],
        pick=cast("Pick | None", given["pick"]),
        out=given["out"],
    )


def _objectives(text: str) -> tuple[Objective, ...]:
    from lprc.compiler.searching.study import OBJECTIVES

    names = _parts(text)
    unknown = [name for name in names if name not in OBJECTIVES]
    if unknown or not names or len({*names}) < len(names):
        raise UsageError(
            f"'{text}' is no list of objectives",
            where="--objective",
            hint=f"some of {', '.join(OBJECTIVES)}, each once",
            option="--objective",
        )
    return tuple(name for name in OBJECTIVES if name in names)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _print(result: Found, folder: Path) -> None:
    document = result.document
    source = document["source"]
    columns = ["trial", "what", ">latency", ">size", f">{source['metric']}"]
    rows = [_cells(row) for row in document["front"]]
    if document["front"]:
        console.stdout().print(console.table(columns, rows))
    else:
        console.stdout().print("nothing was accurate enough")
    shown = {row["trial"] for row in document["front"]}
    others = [_cells(row) for row in document["targets"] if row["trial"] not in shown]
    if others:
        console.stdout().print()
        console.stdout().print(console.table(["targets as they are", *columns[1:]], others))
    stages = ", ".join(f"{count} {stage}" for stage, count in document["stages"].items())
    console.stdout().print()
    console.stdout().print(f"latency: {document['latencies']}, with its 95 % interval")
    console.stdout().print(
        f"source: {source['metric']} {source['value']:.4f}; "
        f"{document['trials']} trials ({stages}) in {document['seconds']:.0f} s; "
        f"the cache saved {100 * document['pass_time_saved']:.0f} % of the passes' time"
    )
    if result.pick is not None:
        console.stdout().print(f"picked: trial {result.pick.number}, {result.pick.candidate.label}")
    console.stdout().print(f"{folder / 'front.html'}")


def _cells(row: Mapping[str, Any]) -> list[str]:
    from lprc.compiler.searching.page import ratio_text

    if row["stage"] != "accurate":
        return [str(row["trial"]), row["label"], row["stage"], "", row["why"]]
    return [
        str(row["trial"]),
        row["label"],
        ratio_text(row["latency"]),
        console.size_text(row["size_bytes"]),
        f"{row['accuracy']:.4f}",
    ]
