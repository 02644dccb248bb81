"""``lprc targets``: what targets there are, and what each one asks of a graph."""

from __future__ import annotations

from typing import Any

import click

from lprc.cli import console
from lprc.cli.common import debug_option, json_option


@click.command("targets")
@click.argument("name", required=False)
@json_option
@debug_option
def command(name: str | None, as_json: bool) -> None:
    """List the targets, or document the target NAME."""
    from lprc.core.targets.target import target_names

    documents = [_describe(each) for each in ([name] if name else target_names())]
    if as_json:
        console.print_json(documents[0] if name else documents)
    elif name:
        _print_one(documents[0])
    else:
        rows = [
            (
                item["name"],
                ", ".join(item["aliases"]),
                item["precision"],
                item["installed"],
                item["description"],
            )
            for item in documents
        ]
        columns = ["target", "alias", "precision", "installed", "description"]
        console.stdout().print(console.table(columns, rows))


def _describe(name: str) -> dict[str, Any]:
    from lprc.compiler.compile.emitters import is_any_installed, option_class
    from lprc.core.builtin import TARGET_ALIASES
    from lprc.core.options import option_infos
    from lprc.core.targets.target import target

    found = target(name)
    missing = [each for each in found.requires if not is_any_installed(each)]
    return {
        "name": found.name,
        "aliases": sorted(alias for alias, full in TARGET_ALIASES.items() if full == found.name),
        "description": found.description,
        "precision": found.precision,
        "runtime": found.runtime,
        "installed": _installed(found.emitter, missing),
        "install": found.install,
        "pipeline": found.pipeline,
        "kit": bool(found.kit),
        "options": [vars(info) for info in option_infos(option_class(found))],
        "rules": [
            {
                "rule": rule.rule,
                **dict(rule.parameters),
                "message": rule.message,
                "remedy": rule.remedy,
            }
            for rule in found.rules
        ],
    }


def _installed(emitter: str, missing: list[str]) -> str:
    if not emitter:
        return "--emit onnx only"
    return "no" if missing else "yes"


def _print_one(document: dict[str, Any]) -> None:
    click.echo(f"{document['name']} — {document['description']}\n")
    for key in ("precision", "runtime", "installed", "install"):
        click.echo(f"{key}: {document[key]}")
    click.echo(f"pipeline: {document['pipeline'].replace(',', ', ')}\n")
    if document["options"]:
        listed = [
            (item["name"], item["type"], item["default"] or "", item["help"])
            for item in document["options"]
        ]
        console.stdout().print(console.table(["option (-O)", "type", "default", "help"], listed))
        click.echo()
    rows = [(rule["rule"], rule["message"], rule["remedy"]) for rule in document["rules"]]
    console.stdout().print(console.table(["rule", "what is wrong", "what to do"], rows))
