"""``lprc sbom``: an artefact's bill of materials."""

from __future__ import annotations

from pathlib import Path

import click

from lprc.cli.common import PathArgument, debug_option
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.say import say


@click.command("sbom")
@click.argument("artefact", type=PathArgument)
@click.option("-o", "--out", type=OutputArgument, help="The file to write.  [default: print it]")
@debug_option
def command(artefact: Path, out: Path | None) -> None:
    """Write what ARTEFACT (a folder of `compile`) was made of, as CycloneDX 1.6 JSON.

    The files are checked by their hashes first.
    """
    check_outputs()
    from lprc.compiler.artifact.sbom import sbom
    from lprc.compiler.artifact.verification import artefact_folder, check_files, require_whole
    from lprc.core.files.atomic import atomic_file

    folder = artefact_folder(artefact)
    require_whole(check_files(folder))
    text = sbom(folder)
    if out is None:
        say(text, nl=False)
        return
    with atomic_file(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
