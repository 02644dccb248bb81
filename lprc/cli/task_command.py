"""``lprc task``: what models are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lprc.cli import console
from lprc.cli.common import PathArgument, debug_option, json_option
from lprc.cli.listing import Document, show_listing
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.say import say


@click.group("task")
def command() -> None:
    """List tasks, write a first task file for a model, or print a schema."""


@command.command("list")
@click.argument("name", required=False)
@json_option
@debug_option
def list_command(name: str | None, as_json: bool) -> None:
    """List built-in tasks and kinds, or show the file of the task NAME."""
    from lprc.core.tasks.task_file import known_names

    show_listing(
        name,
        known_names,
        _describe,
        as_json=as_json,
        print_one=_print_one,
        columns={
            "task": lambda item: item["name"],
            "kind": lambda item: item["kind"],
            "score": lambda item: item["metric"],
            "description": lambda item: item["description"],
        },
    )


def _describe(name: str) -> dict[str, Any]:
    from lprc.core.tasks.task_file import task_choice, task_text

    choice = task_choice(name)
    kind = type(choice.task) if choice.task is not None else choice.kind
    assert kind is not None
    summary = (kind.__doc__ or "").strip().partition("\n")[0].partition(".")[0]
    return {
        "name": name,
        "kind": kind.kind,
        "metric": kind.metric,
        "description": summary if choice.task is None else f"a built-in file of kind {kind.kind}",
        "file": None if choice.task is None else task_text(choice.task),
    }


def _print_one(document: Document) -> None:
    say(f"{document['name']} - {document['description']}; its score is the {document['metric']}")
    if document["file"] is not None:
        say(f"\n{document['file'].rstrip()}")


@command.command("new")
@click.argument("model", type=PathArgument)
@click.option("--like", "kind", required=True, metavar="KIND", help="The kind: `lprc task list`.")
@click.option("-o", "--out", type=OutputArgument, help="The file.  [default: standard output]")
@debug_option
def new_command(model: Path, kind: str, out: Path | None) -> None:
    """Write a first task file for MODEL, guessed from its shapes: look it over before use."""
    check_outputs()
    from lprc.compiler.compile.graph_interface import interface_of_graph
    from lprc.core.files.atomic import atomic_file
    from lprc.core.onnx_io.model_io import load
    from lprc.core.tasks.task_file import TaskChoice, task_kind, task_text

    choice = TaskChoice(kind=task_kind(kind))
    task = choice.resolve(interface_of_graph(load(model), str(model)))
    text = task_text(task)
    if out is None:
        say(text.rstrip())
        return
    with atomic_file(out) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    say(f"{out}: a task of kind {kind}, guessed from the shapes of {model}: look it over")


@command.command("schema")
@click.argument("kind")
@debug_option
def schema_command(kind: str) -> None:
    """Print the JSON Schema of task files of KIND, for editors."""
    from lprc.core.tasks.task_file import json_schema, task_kind

    console.print_json(json_schema(task_kind(kind)))
