"""``lprc targets``: what targets there are, and what each one asks of a graph."""

from __future__ import annotations

from typing import Any

import click

from lprc.cli import console
from lprc.cli.common import debug_option, json_option
from lprc.cli.listing import Document, show_listing
from lprc.cli.say import say


@click.command("targets")
@click.argument("name", required=False)
@json_option
@debug_option
def command(name: str | None, as_json: bool) -> None:
    """List the targets, or document the target NAME."""
    from lprc.core.targets.target import target_names

    show_listing(
        name,
        target_names,
        _describe,
        as_json=as_json,
        print_one=_print_one,
        columns={
            "target": lambda item: item["name"],
            "alias": lambda item: ", ".join(item["aliases"]),
            "precision": lambda item: item["precision"],
            "installed": lambda item: item["installed"],
            "description": lambda item: item["description"],
        },
    )


def _describe(name: str) -> dict[str, Any]:
    from lprc.core.builtin import TARGET_ALIASES
    from lprc.core.options import option_infos
    from lprc.core.process.installed import is_any_installed
    from lprc.core.targets.target import target as find_target

    target = find_target(name)
    missing = [package for package in target.requires if not is_any_installed(package)]
    return {
        "name": target.name,
        "aliases": sorted(alias for alias, full in TARGET_ALIASES.items() if full == target.name),
        "description": target.description,
        "precision": target.precision,
        "runtime": target.runtime,
        "installed": _installed(target.emitter, missing),
        "install": target.install,
        "pipeline": target.pipeline,
        "kit": bool(target.kit),
        "options": [vars(info) for info in option_infos(target.option_class())],
        "rules": [
            {
                "rule": rule.rule,
                **dict(rule.parameters),
                "message": rule.message,
                "remedy": rule.remedy,
            }
            for rule in target.rules
        ],
    }


def _installed(emitter: str, missing: list[str]) -> str:
    if not emitter:
        return "--emit onnx only"
    return "no" if missing else "yes"


def _print_one(document: Document) -> None:
    say(f"{document['name']} — {document['description']}\n")
    for key in ("precision", "runtime", "installed", "install"):
        say(f"{key}: {document[key]}")
    say(f"pipeline: {document['pipeline'].replace(',', ', ')}\n")
    if document["options"]:
        listed = [
            (item["name"], item["type"], item["default"] or "", item["help"])
            for item in document["options"]
        ]
        console.stdout().print(console.table(["option (-O)", "type", "default", "help"], listed))
        say()
    rows = [(rule["rule"], rule["message"], rule["remedy"]) for rule in document["rules"]]
    console.stdout().print(console.table(["rule", "what is wrong", "what to do"], rows))
