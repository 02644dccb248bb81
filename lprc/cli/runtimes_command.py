"""``lprc runtimes``: what runs artefacts and model files, and whether it does so here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lprc.cli.common import debug_option, json_option
from lprc.cli.listing import Document, show_listing
from lprc.cli.say import say


@click.command("runtimes")
@click.argument("name", required=False)
@json_option
@debug_option
def command(name: str | None, as_json: bool) -> None:
    """List the runtimes, or document the runtime NAME.

    `model.onnx@NAME` runs a file, or an artefact's folder, in one of them.
    """
    from lprc.core.targets.runtimes import runtime_names

    show_listing(
        name,
        runtime_names,
        _describe,
        as_json=as_json,
        print_one=_print_one,
        columns={
            "runtime": lambda item: item["name"],
            "alias": lambda item: ", ".join(item["aliases"]),
            "loads": lambda item: item["file"],
            "device": lambda item: item["device"],
            "runs here": _runs_here,
            "description": lambda item: item["description"],
        },
    )


def _runs_here(document: Document) -> str:
    return document["obstacle"] or "yes"


def _print_one(document: Document) -> None:
    say(f"{document['name']} — {document['description']}\n")
    say(f"alias: {', '.join(document['aliases']) or 'none'}")
    say(f"loads: {document['file']} of an artefact")
    opened = ", ".join(document["suffixes"]) or "nothing"
    say(f"opens: {opened}, where no runtime is named")
    say(f"device: {document['device']}")
    say(f"runs here: {_runs_here(document)}")
    say(f"install: {document['install']}")


def _describe(name: str) -> dict[str, Any]:
    from lprc.core.builtin import RUNTIME_ALIASES
    from lprc.core.targets.runtimes import runtime as find_runtime
    from lprc.core.targets.runtimes import runtime_of_file

    runtime = find_runtime(name)
    return {
        "name": runtime.name,
        "aliases": sorted(alias for alias, full in RUNTIME_ALIASES.items() if full == runtime.name),
        "description": runtime.title,
        "file": runtime.file,
        "suffixes": [
            suffix
            for suffix in runtime.opened_suffixes
            if runtime_of_file(Path(f"model{suffix}")).name == runtime.name
        ],
        "device": runtime.device,
        "obstacle": runtime.obstacle(),
        "install": runtime.install,
    }
