"""Score a detector on a pool of pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from lprc.core.tasks.score import Score
from lprc.models.plate_detector.augmentation import letterboxed
from lprc.models.plate_detector.frames import detector_task
from lprc.models.plate_detector.picture_pool import PicturePool
from lprc.models.tasks.detection.truth import Truth

Detector = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From images to scores and boxes: a `DeployedDetector`, or what was compiled from one."""

_BATCH = 32


@torch.inference_mode()
def score_pool(
    detector: Detector, pool: PicturePool, size: tuple[int, int], *, batch: int = _BATCH
) -> Score:
    """The average precision of a detector on a pool, by the built-in task ``plate-detector``.

    Args:
        detector: What is scored.
        pool: The pictures and their plates.
        size: The height and width in pixels that the detector takes.
        batch: Pictures at a time.

    Raises:
        MissingDependencyError: pycocotools is not installed.
    """
    task = detector_task()
    records = []
    for start in range(0, pool.filled, batch):
        indices = range(start, min(start + batch, pool.filled))
        images = pool.images[start : indices.stop]
        scores, boxes = detector(letterboxed(images, *size))
        outputs = {"scores": scores.cpu().numpy(), "boxes": boxes.cpu().numpy()}
        answers = task.answers(outputs, [None] * len(indices))
        records += [
            task.judge(answer, _truth(pool, index))
            for answer, index in zip(answers, indices, strict=True)
        ]
    return Score(task, tuple(records))


def _truth(pool: PicturePool, index: int) -> Truth:
    boxes = pool.boxes[index][pool.present[index]].double().cpu().numpy()
    return Truth(boxes, np.zeros(len(boxes), np.int64), np.zeros(len(boxes), bool))
