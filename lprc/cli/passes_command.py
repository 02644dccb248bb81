"""``lprc passes``: what passes there are, and what each one does."""

from __future__ import annotations

import inspect
from typing import Any

import click

from lprc.cli import console
from lprc.cli.common import debug_option, json_option
from lprc.cli.listing import Document, show_listing
from lprc.cli.say import say


@click.command("passes")
@click.argument("name", required=False)
@json_option
@debug_option
def command(name: str | None, as_json: bool) -> None:
    """List the passes, or document the pass NAME."""
    from lprc.core.passing.pass_registry import pass_names

    show_listing(
        name,
        pass_names,
        _describe,
        as_json=as_json,
        print_one=_print_one,
        columns={
            "pass": lambda item: item["name"],
            "contract": lambda item: item["contract"],
            "what it does": lambda item: item["summary"],
        },
    )


def _describe(name: str) -> dict[str, Any]:
    from lprc.core.options import option_infos
    from lprc.core.passing.pass_registry import pass_class

    pass_type = pass_class(name)
    documentation = inspect.getdoc(pass_type) or ""
    return {
        "name": name,
        "contract": str(pass_type.contract),
        "summary": documentation.partition("\n")[0],
        "documentation": documentation,
        "options": [vars(info) for info in option_infos(pass_type)],
    }


def _print_one(document: Document) -> None:
    out = console.stdout()
    say(f"{document['name']} — contract: {document['contract']}\n")
    say(document["documentation"])
    if not document["options"]:
        say("\nNo options.")
        return
    say()
    rows = [
        (
            item["name"],
            item["type"],
            "required" if item["default"] is None else item["default"],
            item["help"],
        )
        for item in document["options"]
    ]
    out.print(console.table(["option", "type", "default", "what it does"], rows))
