"""``lprc pipeline``: the files that put networks one behind the other."""

from __future__ import annotations

import click

from lprc.cli import console
from lprc.cli.common import debug_option


@click.group("pipeline")
def command() -> None:
    """Print the schema of pipeline.toml."""


@command.command("schema")
@debug_option
def schema_command() -> None:
    """Print the JSON Schema of pipeline.toml, for editors."""
    from lprc.compiler.frames.pipeline_file import json_schema

    console.print_json(json_schema())
