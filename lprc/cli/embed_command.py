"""``lprc embed``: an artefact as sources, to be linked into a program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lprc.cli import console
from lprc.cli.common import PathArgument, debug_option, json_option, quiet_option
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.say import say


@click.command("embed")
@click.argument("artefact", type=PathArgument)
@click.option("-o", "--out", required=True, type=OutputArgument, help="The C source to write.")
@click.option(
    "--as",
    "form",
    type=click.Choice(["array", "object", "resource"]),
    default="array",
    show_default=True,
    help="Bytes as C arrays, by .incbin in an assembler file, or as a Windows resource.",
)
@click.option("--symbol", default="", help="What identifiers start with.  [default: OUT's stem]")
@json_option
@quiet_option
@debug_option
def command(artefact: Path, out: Path, form: Any, symbol: str, as_json: bool, quiet: bool) -> None:
    """Write the deployed files of ARTEFACT (a folder of `compile`) as C sources with a header.

    With them goes deployment.json, which says what they take and give, where there is one.

    The header lies beside OUT, and so does the assembler file (.S) or the resource script (.rc).
    """
    check_outputs()
    from lprc.compiler.embed.write import embed

    written = embed(artefact, out, form=form, symbol=symbol)
    if as_json:
        console.print_json({"written": [str(path) for path in written]})
    elif not quiet:
        say("\n".join(map(str, written)))
