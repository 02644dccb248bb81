"""A network of pixels from labelled images to ONNX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lprc.core.errors import DataError
from lprc.core.files.atomic import atomic_file
from lprc.core.tasks.task import Task
from lprc.core.tasks.task_file import task_text
from lprc.models.segmentation_networks.export import export_segmentation, load_network
from lprc.models.segmentation_networks.scenes import read_scenes
from lprc.models.segmentation_networks.trainer import SegmentationOptions, SegmentationTrainer
from lprc.models.tasks.segmentation import Segmentation
from lprc.models.training_loop import Look, Progress, train_to_the_end


@dataclass(frozen=True)
class Trained:
    """What a training left.

    Attributes:
        model: The ONNX file of the best weights.
        best: Their score on what was held out, 0 to 1.
        parameters: How many numbers the network has learnt.
        images: How many images were trained on.
        held_out: How many were not.
    """

    model: Path
    best: float
    parameters: int
    images: int
    held_out: int


def train_segmentation(
    options: SegmentationOptions,
    task: Task,
    data: Path,
    out: Path,
    *,
    looked: Callable[[Look], None],
    resume: Path | None = None,
    evaluate_every: int = 100,
    progress: Progress | None = None,
) -> Trained:
    """Train a network and export its best weights.

    `out` gets ``last.pt`` and ``best.pt`` (see `train_to_the_end`), ``model.onnx`` with the best
    weights in the size of the task's input, and ``task.toml``.

    Args:
        options: What decides the weights.
        task: Says how images and masks are read, and what the loss is.
        data: Labelled images as the task's `labelled` takes them.
        out: A folder; made where it is not there.
        looked: Called after each look at what is held out.
        resume: A ``last.pt`` of the same options.
        evaluate_every: Steps between looks.
        progress: Called after each step.

    Raises:
        DataError: The task is no segmentation, files can't be used, a checkpoint is another run's,
            or the loss is not finite.
        UsageError: There is no such network, or the input is too small for it.
        OutputError: The folder can't be written to.
    """
    if not isinstance(task, Segmentation):
        raise DataError(
            f"task '{task.name}' is of kind '{task.kind}', and this trains segmentation",
            where="--task",
            hint="lprc task new MODEL --like segmentation writes a file of that kind",
        )
    if task.input.channels != 3:
        raise DataError("the networks take images of three channels", where="[input] color")
    trainer = SegmentationTrainer(options, task)
    if resume is not None:
        trainer.load(resume)
    scenes, held_out = read_scenes(data, task, options.held_out, options.seed)
    out.mkdir(parents=True, exist_ok=True)
    best = train_to_the_end(
        trainer,
        out,
        steps=options.steps,
        train_step=lambda: trainer.train_step(scenes),
        score=lambda: trainer.score(held_out),
        evaluate_every=evaluate_every,
        progress=progress,
        looked=looked,
    )
    model = out / "model.onnx"
    with atomic_file(out / "task.toml") as temporary:
        temporary.write_text(task_text(task), encoding="utf-8", newline="\n")
    width, height = task.input.size
    export_segmentation(load_network(out / "best.pt"), model, height=height, width=width)
    parameters = sum(weights.numel() for weights in trainer.model.parameters())
    return Trained(model, best, parameters, len(scenes), len(held_out))
