"""``lprc export``: trained LPRNet weights to one ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from lprc.cli import console
from lprc.cli.common import PathArgument, debug_option, json_option, quiet_option
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.say import say


def _batch(_: click.Context, __: click.Parameter, text: str) -> int | Literal["dynamic"]:
    if text == "dynamic":
        return "dynamic"
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise click.BadParameter("must be 'dynamic' or a number of at least 1")


@click.command("export")
@click.option("--weights", required=True, type=PathArgument, help="The checkpoint (.pth).")
@click.option("-o", "--out", required=True, type=OutputArgument, help="The ONNX file to write.")
@click.option(
    "--batch", default="dynamic", show_default=True, callback=_batch, help="dynamic or a number."
)
@click.option("--opset", type=int, default=20, show_default=True, help="ONNX operator set, ≥ 19.")
@json_option
@quiet_option
@debug_option
def command(
    weights: Path,
    out: Path,
    batch: int | Literal["dynamic"],
    opset: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Export trained LPRNet weights to ONNX (needs torch)."""
    check_outputs()
    from lprc.models.checkpoint import load_checkpoint
    from lprc.models.export import export_onnx

    export_onnx(load_checkpoint(weights), out, batch=batch, opset=opset)
    size = out.stat().st_size
    if as_json:
        console.print_json({"output": str(out), "size": size, "opset": opset, "batch": batch})
    elif not quiet:
        say(f"{out}: {console.size_text(size)}, opset {opset}, batch {batch}")
