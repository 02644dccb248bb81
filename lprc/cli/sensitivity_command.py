"""``lprc sensitivity``: which layers suffer from quantisation."""

from __future__ import annotations

import math
from pathlib import Path

import click

from lprc.cli import console
from lprc.cli.common import PathArgument, debug_option, json_option, quiet_option, task_option

BAR = 30
"""Characters of the longest bar."""


@click.command("sensitivity")
@click.argument("model", type=PathArgument)
@click.option("--target", default="onnx-qdq", show_default=True, help="Whose Q/DQ to look at.")
@click.option("--passes", help="Pipeline text with insert-qdq instead of the target's own.")
@click.option(
    "--calib",
    type=PathArgument,
    required=True,
    help="Images, or .npz files, to calibrate and measure with.",
)
@task_option
@json_option
@quiet_option
@debug_option
def command(
    model: Path,
    target: str,
    passes: str | None,
    calib: Path,
    task: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Quantise one layer of MODEL at a time, and show what that does to its outputs."""
    from lprc.cli.progress import reporter
    from lprc.compiler.compile.samples import samples_of
    from lprc.compiler.measure.sensitivity import Quantizable, rank
    from lprc.core.onnx_io.model_io import load
    from lprc.core.passing.pipeline import Pipeline
    from lprc.core.targets.target import target as find_target
    from lprc.core.tasks.task_file import task_choice

    text = passes if passes is not None else find_target(target).pipeline
    graph = load(model)
    samples = samples_of(graph, str(model), calib, task_choice(task))
    with reporter("ranking layers", quiet=quiet or as_json) as progress:
        layers = rank(Quantizable(graph, Pipeline.parse(text), samples), samples, progress=progress)
    if as_json:
        console.print_json(
            [
                {
                    "node": layer.node,
                    "op_type": layer.op_type,
                    "origins": list(layer.origins),
                    "snr_db": layer.snr_db if math.isfinite(layer.snr_db) else None,
                }
                for layer in layers
            ]
        )
        return
    worst = min((layer.snr_db for layer in layers), default=0.0)
    rows = [
        (layer.node, layer.op_type, f"{layer.snr_db:.1f}", _bar(layer.snr_db, worst))
        for layer in layers
    ]
    columns = ["layer", "operator", ">SNR dB", "noise beside the worst layer's"]
    console.stdout().print(console.table(columns, rows))


def _bar(decibels: float, worst: float) -> str:
    """The amplitude of a layer's noise beside that of the worst layer."""
    share = 10 ** ((worst - decibels) / 20) if math.isfinite(decibels) else 0.0
    return "█" * max(1, round(BAR * share)) if share > 0 else ""
