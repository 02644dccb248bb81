"""Photographs with the boxes of their plates, from a folder in COCO's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lprc.core.tasks.image_files import read_image
from lprc.core.tasks.task import Task
from lprc.core.tasks.task_file import task_choice
from lprc.models.plate_detector.scene_background import SCENE_SIZE
from lprc.models.plate_detector.scenes import Scene


def detector_task() -> Task:
    """The built-in task ``plate-detector``."""
    task = task_choice("plate-detector").task
    assert task is not None
    return task


def load_frames(folder: Path) -> list[Scene]:
    """Read the pictures of a folder with COCO's ``instances.json``, by their numbers.

    A picture of another size than `SCENE_SIZE` is scaled to fit and its boxes with it.

    Raises:
        DataError: A file is missing or can't be read, or the annotations are not COCO's.
        MissingDependencyError: pycocotools is not installed.
    """
    samples = detector_task().labelled(folder)
    return [_scene(read_image(sample.path), sample.truth.boxes) for sample in samples]


def _scene(picture: Image.Image, boxes: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Scene:
    scale = (SCENE_SIZE[0] / picture.width, SCENE_SIZE[1] / picture.height)
    if picture.size != SCENE_SIZE:
        picture = picture.resize(SCENE_SIZE, Image.Resampling.BILINEAR)
    return Scene(np.asarray(picture), (boxes * np.array(scale * 2)).astype(np.float32))
