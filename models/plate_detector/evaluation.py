"""Score a detector on a pool of pictures."""

from __future__ import annotations

import torch
from torch import nn

from lprc.models.plate_detector.augmentation import letterboxed
from lprc.models.plate_detector.average_precision import AveragePrecision, average_precision
from lprc.models.plate_detector.decode import Detections, decode
from lprc.models.plate_detector.picture_pool import PicturePool

_BATCH = 32
_THRESHOLD = 0.01
"""Average precision looks at weak detections too."""


@torch.inference_mode()
def detect_pool(detector: nn.Module, pool: PicturePool, size: tuple[int, int]) -> list[Detections]:
    """Return what ``detector``, a `DeployedDetector` of ``size``, finds in each picture."""
    found: list[Detections] = []
    for start in range(0, pool.filled, _BATCH):
        images = pool.images[start : min(start + _BATCH, pool.filled)]
        scores, boxes = detector(letterboxed(images, *size))
        rows = zip(scores.cpu().numpy(), boxes.cpu().numpy(), strict=True)
        found += [decode(*row, threshold=_THRESHOLD, overlap=0.6) for row in rows]
    return found


def score_pool(detector: nn.Module, pool: PicturePool, size: tuple[int, int]) -> AveragePrecision:
    """Return the average precision of ``detector`` on ``pool``."""
    found = detect_pool(detector, pool, size)
    boxes, present = pool.boxes.cpu().numpy(), pool.present.cpu().numpy()
    plates = [boxes[index][present[index]] for index in range(pool.filled)]
    return average_precision(found, plates)
