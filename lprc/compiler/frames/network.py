"""One network of a pipeline, loaded: images in, answers out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lprc.compiler.artifact.artifact import Artifact
from lprc.compiler.frames.share import Share
from lprc.compiler.measure.evaluation import interface_of
from lprc.core.errors import DataError
from lprc.core.running.runner import Runner, runs_at_once
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.task import Task, fixed_batch
from lprc.core.tasks.task_file import TaskChoice


@dataclass(frozen=True)
class Batch:
    """Images as a network takes them.

    Attributes:
        inputs: [samples, ...], filled up to a fixed batch.
        places: Where each image lies in its input; as many as there are images.
    """

    inputs: NDArray[Any]
    places: tuple[Placement, ...]


@dataclass(frozen=True)
class Answer:
    """What a network says of one image.

    Attributes:
        value: As its task has answers.
        confidence: The probability of each character that was read; None where the task or the
            graph does not tell.
    """

    value: Any
    confidence: tuple[float, ...] | None = None


class Network:
    """A model, its runtime and its task.

    Args:
        name: What the pipeline calls it.
        runner: The model, loaded.
        task: Fitted to it.
        interface: The model's.
    """

    def __init__(self, name: str, runner: Runner, task: Task, interface: Interface) -> None:
        self.name = name
        self.task = task
        self.interface = interface
        self._runner = runner
        self._turns = threading.Semaphore(runs_at_once(runner))

    @classmethod
    def opened(
        cls, name: str, artefact: Artifact, task: TaskChoice, share: Share, batch: int | None = None
    ) -> Network:
        """Load an artefact or a model file.

        Args:
            name: What to call it.
            artefact: Which.
            task: What it is for; where nothing is said the artefact's own, else a built-in one
                that evidently is the model's.
            share: Threads of its runtime, and how many frames it runs on at once.
            batch: Images of every run; None where that varies.

        Raises:
            DataError: Nothing tells what it is for, the task does not fit, or takes no images.
            LprcError: It can't be loaded.
        """
        runner = artefact.runner(threads=share.threads, streams=share.workers, batch=batch)
        interface = interface_of(runner, str(artefact.path))
        chosen = task.or_own(artefact.task).resolve(interface)
        if not chosen.takes_images:
            raise DataError(
                f"task '{chosen.name}' takes no images", where=str(artefact.path), hint="lprc eval"
            )
        return cls(name, runner, chosen, interface)

    def prepare(self, images: Sequence[Image.Image]) -> tuple[Batch, ...]:
        """Images as batches: one where the model's batch is free, else as many as are needed."""
        grey = self.task.input.color == "GRAY"
        size = self.interface.fixed_batch or len(images)
        return tuple(
            self._batch([image.convert("L") if grey else image for image in part], size)
            for part in _parts(images, size)
        )

    def _batch(self, images: Sequence[Image.Image], size: int) -> Batch:
        image_input = self.task.input
        samples = [image_input.array(image) for image in images]
        arrays = samples[0][None] if len(samples) == 1 else np.stack(samples)
        places = tuple(image_input.placement(image.size) for image in images)
        return Batch(fixed_batch(arrays, size), places)

    def infer(self, batches: Sequence[Batch]) -> list[Answer]:
        """The answer for each image of the batches, in their order.

        Threads take turns where the runtime does not run in several at once.

        Raises:
            DataError: The outputs are not those of such a model.
            RunError: It fails.
        """
        answers: list[Answer] = []
        for batch in batches:
            with self._turns:
                outputs = self._runner.run({self.interface.image_input: batch.inputs})
            named = {name: outputs[name] for name in self.interface.outputs}
            values = self.task.answers(named, batch.places)
            confidences = self.task.confidences(named)
            answers += [
                Answer(value, None if confidences is None else tuple(confidences[index]))
                for index, value in enumerate(values)
            ]
        return answers


def _parts(images: Sequence[Image.Image], size: int) -> Iterator[Sequence[Image.Image]]:
    return (images[start : start + size] for start in range(0, len(images), max(size, 1)))
