"""``lprc finetune``: train the weights of a graph, and put them back into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lprc.cli import console
from lprc.cli.common import (
    SEED,
    PathArgument,
    debug_option,
    json_option,
    quiet_option,
    task_option,
    threads_option,
    verbose_option,
)
from lprc.cli.outputs import OutputArgument, check_outputs
from lprc.cli.say import say

if TYPE_CHECKING:
    import onnx_ir as ir

    from lprc.compiler.training.finetune import Tuned
    from lprc.compiler.training.training_set import Samples


@click.command("finetune")
@click.argument("model", type=PathArgument)
@click.option(
    "--data",
    required=True,
    type=PathArgument,
    help="Samples as the task reads them, or an .npz file whose arrays' rows are samples.",
)
@click.option("-o", "--out", required=True, type=OutputArgument, help="The ONNX file to write.")
@click.option(
    "--teacher", type=PathArgument, help="The network to learn from, usually MODEL's original."
)
@click.option(
    "--loss",
    type=click.Choice(["labels", "ctc", "distillation", "both"]),
    help="What to learn: labels, the teacher's outputs, both.  [default: distillation with "
    "--teacher, labels without; ctc is the old name of labels]",
)
@click.option("--steps", type=int, default=2000, show_default=True, help="Of the optimiser.")
@click.option("--batch", type=int, default=32, show_default=True, help="Samples of a step.")
@click.option("--rate", type=float, default=1e-3, show_default=True, help="Step size at the start.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Of distillation.")
@click.option(
    "--hints",
    type=float,
    default=3.0,
    show_default=True,
    help="Weight of the teacher's activations behind Relus; 0 compares outputs alone.",
)
@click.option(
    "--init",
    type=click.Choice(["keep", "random", "rewind"]),
    default="keep",
    show_default=True,
    help="Where weights start: as they are, at random, or at those of --rewind-to; zeros stay.",
)
@click.option("--rewind-to", type=PathArgument, help="The network early in training.")
@click.option("--augment/--no-augment", default=True, show_default=True, help="Change images.")
@click.option(
    "--update-statistics", is_flag=True, help="Let BatchNormalization follow the batches."
)
@click.option(
    "--hold-out",
    type=float,
    default=0.1,
    show_default=True,
    help="The part of --data that is not trained on but looked at.",
)
@click.option(
    "--take",
    type=click.Choice(["last", "best"]),
    default="last",
    show_default=True,
    help="The weights of the last step, or of the best one by what is held out.",
)
@click.option(
    "--evaluate-every", type=int, default=100, show_default=True, help="Steps between looks at it."
)
@click.option(
    "--patience", type=int, default=0, show_default=True, help="End after so many looks; 0: never."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of all that is random.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)
@threads_option
@click.option("--checkpoint", type=PathArgument, help="Write the state here at each look.")
@click.option("--resume", type=PathArgument, help="Go on from a checkpoint.")
@task_option
@json_option
@quiet_option
@verbose_option
@debug_option
def command(
    model: Path,
    data: Path,
    out: Path,
    teacher: Path | None,
    loss: Any,
    device: str,
    threads: int | None,
    rewind_to: Path | None,
    checkpoint: Path | None,
    resume: Path | None,
    task: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **recipe: Any,
) -> None:
    """Train MODEL's weights; its widths, zeros and precision stay (needs torch).

    With --teacher and no labels, MODEL learns to put out what the teacher does: repair behind
    prune-channels or sparsify. A MODEL with Q/DQ is trained through them.
    """
    check_outputs()
    from lprc.cli.progress import reporter
    from lprc.core.errors import MissingDependencyError
    from lprc.core.onnx_io.model_io import load, save
    from lprc.core.process.installed import is_installed

    if not is_installed("torch"):
        raise MissingDependencyError(
            "training needs torch", where="lprc finetune", hint='pip install "lprc[torch]"'
        )
    import torch

    from lprc.compiler.training.finetune import Sources, finetune
    from lprc.compiler.training.recipe import Recipe

    if threads is not None:
        torch.set_num_threads(threads)
    loss = loss or ("distillation" if teacher else "labels")
    chosen = Recipe(loss="labels" if loss == "ctc" else loss, **recipe)
    graph = load(model)
    samples = _samples(graph, model, data, task, labelled=chosen.reads_labels)
    sources = Sources(
        teacher=None if teacher is None else load(teacher),
        early=None if rewind_to is None else load(rewind_to),
        early_name=str(rewind_to),
        resume=resume,
    )
    with reporter("training", quiet=quiet or as_json) as progress:
        tuned = finetune(
            graph, samples, chosen, sources, device=device, keep=checkpoint, progress=progress
        )
    save(graph, out)
    warnings = held_out_warnings(tuned)
    if as_json:
        console.print_json({"output": str(out), **tuned.document(), "warnings": warnings})
        return
    for warning in warnings:
        console.note(f"warning: {warning}")
    if not quiet:
        _print(tuned, out, verbose=verbose)


def _samples(
    graph: ir.Model, model: Path, data: Path, task: str | None, *, labelled: bool
) -> Samples:
    from lprc.compiler.compile.calibration import ImageSamples
    from lprc.compiler.compile.graph_interface import interface_of_graph
    from lprc.compiler.training.training_set import Images, Rows
    from lprc.core.tasks.task_file import task_choice

    if data.suffix == ".npz":
        names = [str(value.name) for value in graph.graph.inputs if not value.is_initializer()]
        return Rows.read(data, names)
    choice = task_choice(task)
    if labelled:
        interface = interface_of_graph(graph, str(model))
        return Images.read(data, choice.resolve(interface), interface, labelled=True)
    images = ImageSamples(data, choice, graph, str(model))
    return Images.read(data, images.task, images.interface, labelled=False)


def held_out_warnings(tuned: Tuned) -> list[str]:
    """What the user has to know: weights that do worse on what was held out than at the start."""
    start, taken = tuned.looks[0], tuned.look_taken
    if start.held_out is None or taken.held_out is None or taken.held_out <= start.held_out:
        return []
    best = min(look.held_out for look in tuned.looks if look.held_out is not None)
    return [
        f"the held-out loss grew from {start.held_out:.4f} to {taken.held_out:.4f}: --take best "
        f"would have taken the weights with {best:.4f}; a smaller --rate may do better"
    ]


def _print(tuned: Tuned, out: Path, *, verbose: bool) -> None:
    looks = tuned.looks if verbose else (tuned.looks[0], tuned.looks[-1])
    rows = [
        (
            str(look.step),
            "" if look.loss != look.loss else f"{look.loss:.4f}",
            "" if look.held_out is None else f"{look.held_out:.4f}",
            "taken" if look.step == tuned.taken_step else "",
        )
        for look in looks
    ]
    console.stdout().print(console.table(["step", "training loss", "held out", ""], rows))
    say(
        f"{out}: {tuned.weights} weights trained on {tuned.device}, {tuned.zeros} zeros kept; "
        f"those after step {tuned.taken_step}"
    )
