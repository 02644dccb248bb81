"""``lprc schema``: the JSON Schema of lprc.toml."""

from __future__ import annotations

import click

from lprc.cli import console
from lprc.cli.common import debug_option


@click.command("schema")
@debug_option
def command() -> None:
    """Print the JSON Schema of lprc.toml, for editors."""
    from lprc.compiler.project.schema import json_schema

    console.print_json(json_schema())
