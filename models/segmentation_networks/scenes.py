"""Labelled images in memory, and the share of them that is held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.tasks.image_files import read_image
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.task import Sample
from lprc.models.tasks.segmentation import Segmentation


@dataclass(frozen=True)
class Scene:
    """An image in the size of the input, and what it shows.

    Attributes:
        image: uint8 [height, width, 3], red first; [height, width] where the input is grey.
        mask: uint8 [height, width], moved as the image was.
        place: Where the image lies in the input.
        truth: The mask's file.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    place: Placement
    truth: Path


def read_scenes(
    data: Path, task: Segmentation, held_out: float, seed: int
) -> tuple[list[Scene], list[Scene]]:
    """The scenes to train on, and those to choose the best weights by.

    Args:
        data: A folder as the task's `labelled` takes it.
        task: Says how images and masks are read.
        held_out: The share that is not trained on, 0 to 1; one image at least.
        seed: Decides which.

    Raises:
        DataError: Files that can't be used, or too few of them.
    """
    samples = task.labelled(data)
    count = max(1, round(held_out * len(samples)))
    if count >= len(samples):
        raise DataError(
            f"has {len(samples)} images, of which {count} are held out",
            where=str(data),
            hint="training needs one more at least",
        )
    order = np.random.default_rng(seed).permutation(len(samples))
    scenes = _read(samples, task)
    return [scenes[index] for index in order[count:]], [scenes[index] for index in order[:count]]


def _read(samples: Sequence[Sample], task: Segmentation) -> list[Scene]:
    scenes = []
    for sample in samples:
        image = read_image(sample.path, "L" if task.input.color == "GRAY" else "RGB")
        scenes.append(
            Scene(
                np.asarray(task.input.fitted(image), np.uint8),
                task.training_mask(sample.truth),
                task.input.placement(image.size),
                sample.truth,
            )
        )
    return scenes
