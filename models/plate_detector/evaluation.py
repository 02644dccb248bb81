"""Score a detector on a pool of pictures."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lprc.models.plate_detector.augmentation import letterboxed
from lprc.models.plate_detector.average_precision import AveragePrecision, average_precision
from lprc.models.plate_detector.decode import Detections, decode
from lprc.models.plate_detector.picture_pool import PicturePool

Detector = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From images to scores and boxes: a `DeployedDetector`, or what was compiled from one."""

_BATCH = 32
_THRESHOLD = 0.01
"""Average precision looks at weak detections too."""


@torch.inference_mode()
def detect_pool(
    detector: Detector, pool: PicturePool, size: tuple[int, int], *, batch: int = _BATCH
) -> list[Detections]:
    """Return what ``detector`` finds in each picture, ``batch`` pictures at a time.

    ``size`` is the height and width in pixels that it takes.
    """
    detections: list[Detections] = []
    for start in range(0, pool.filled, batch):
        images = pool.images[start : min(start + batch, pool.filled)]
        scores, boxes = detector(letterboxed(images, *size))
        rows = zip(scores.cpu().numpy(), boxes.cpu().numpy(), strict=True)
        detections += [decode(*row, threshold=_THRESHOLD, overlap=0.6) for row in rows]
    return detections


def score_pool(
    detector: Detector, pool: PicturePool, size: tuple[int, int], *, batch: int = _BATCH
) -> AveragePrecision:
    """Return the average precision of ``detector`` on ``pool``; arguments as of `detect_pool`."""
    detections = detect_pool(detector, pool, size, batch=batch)
    boxes, present = pool.boxes.cpu().numpy(), pool.present.cpu().numpy()
    plates = [boxes[index][present[index]] for index in range(pool.filled)]
    return average_precision(detections, plates)
