"""``lprc train``: a network of this package, from labelled images to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lprc.cli import console
from lprc.cli.common import (
    SEED,
    PathArgument,
    debug_option,
    json_option,
    quiet_option,
    threads_option,
    verbose_option,
)
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.say import say


@click.command("train")
@click.argument("network")
@click.option(
    "--task", required=True, metavar="FILE", help="A task file of kind segmentation: what it reads."
)
@click.option("--data", required=True, type=PathArgument, help="Folder of images and masks.")
@click.option("-o", "--out", required=True, type=OutputArgument, help="Folder to write to.")
@click.option(
    "--width",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Channels against the paper's.",
)
@click.option(
    "--steps", type=click.IntRange(1), default=3000, show_default=True, help="Of the optimiser."
)
@click.option(
    "--batch",
    "batch_size",
    type=click.IntRange(2),
    default=8,
    show_default=True,
    help="Images of a step.",
)
@click.option(
    "--crop",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Part of width and height that is trained on at once.",
)
@click.option(
    "--rate",
    "learning_rate",
    type=click.FloatRange(0, min_open=True),
    default=2e-3,
    show_default=True,
    help="Largest step size; it falls along a cosine.",
)
@click.option(
    "--hold-out",
    "held_out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Part of --data that the best weights are chosen by.",
)
@click.option(
    "--evaluate-every",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Steps between looks at it.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of all that is random.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of products; weights are float32.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
@threads_option
@click.option("--resume", type=PathArgument, help="Go on from a last.pt of the same options.")
@json_option
@quiet_option
@verbose_option
@debug_option
def command(
    network: str,
    task: str,
    data: Path,
    out: Path,
    device: str,
    threads: int | None,
    resume: Path | None,
    evaluate_every: int,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Train NETWORK (swiftnet, swiftnet-single, mobilenet-unet) and export it (needs torch).

    OUT gets model.onnx and task.toml for `compile` and `eval`, and best.pt and last.pt.
    """
    check_outputs()
    from lprc.cli.progress import reporter
    from lprc.core.errors import MissingDependencyError
    from lprc.core.process.installed import is_installed
    from lprc.core.tasks.task_file import load_task

    if not is_installed("torch"):
        raise MissingDependencyError(
            "training needs torch", where="lprc train", hint='pip install "lprc[torch]"'
        )
    chosen_task = load_task(Path(task))
    import torch

    from lprc.models.segmentation_networks.train import train_segmentation
    from lprc.models.segmentation_networks.trainer import SegmentationOptions
    from lprc.models.training_loop import Look
    from lprc.models.training_state import chosen_device

    if threads is not None:
        torch.set_num_threads(threads)

    def looked(look: Look) -> None:
        if verbose and not as_json:
            say(f"{look}, held-out {chosen_task.metric} {look.score:.4f}")

    with reporter("training", quiet=quiet or as_json) as progress:
        trained = train_segmentation(
            SegmentationOptions(network, device=chosen_device(device), **options),
            chosen_task,
            data,
            out,
            resume=resume,
            evaluate_every=evaluate_every,
            progress=progress,
            looked=looked,
        )
    if as_json:
        console.print_json({**vars(trained), "model": str(trained.model)})
    elif not quiet:
        say(
            f"{trained.model}: {trained.parameters} weights, held-out {chosen_task.metric} "
            f"{trained.best:.4f} ({trained.images} images trained on, {trained.held_out} held out)"
        )
