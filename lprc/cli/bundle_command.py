"""``lprc bundle``: a pipeline for another vendor's framework of video."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from lprc.cli import console
from lprc.cli.common import PathArgument, debug_option, json_option, quiet_option
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.say import say
from lprc.core.errors import UsageError

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@click.command("bundle")
@click.argument("pipeline", type=PathArgument)
@click.option(
    "--for",
    "framework",
    required=True,
    type=click.Choice(["deepstream", "openvino-dlstreamer"]),
    help="What will run it.",
)
@click.option("-o", "--out", required=True, type=OutputArgument, help="The folder to write.")
@click.option(
    "--streams",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Videos that run at once.",
)
@click.option(
    "--frame-size",
    metavar="WIDTHxHEIGHT",
    default="1920x1080",
    show_default=True,
    help="What frames are brought to.",
)
@json_option
@quiet_option
@debug_option
def command(
    pipeline: Path,
    framework: Any,
    out: Path,
    streams: int,
    frame_size: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compile the models of PIPELINE (a pipeline.toml) and write what a framework needs.

    The configurations, sources and scripts need neither the framework nor a GPU here.
    """
    check_outputs()
    size = _SIZE.fullmatch(frame_size)
    if size is None:
        raise UsageError(
            f"'{frame_size}' is no size",
            where="--frame-size",
            hint="for instance 1280x720",
            option="--frame-size",
        )
    from lprc.compiler.bundle.write import bundle

    silent = quiet or as_json
    written = bundle(
        pipeline,
        framework,
        out,
        streams=streams,
        frame=(int(size[1]), int(size[2])),
        told=lambda name: None if silent else console.note(f"compiling '{name}'"),
    )
    if as_json:
        console.print_json(
            {"output": str(out), "files": list(written.files), "notes": list(written.notes)}
        )
    elif not quiet:
        for note in written.notes:
            console.note(f"note: {note}")
        say(f"{out}: {len(written.files)} files; README.md says what to do with them")
