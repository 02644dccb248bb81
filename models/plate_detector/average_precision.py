"""Average precision as COCO defines it, for one class.

T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", arXiv:1405.0312, and the
evaluation of pycocotools: precision at 101 recalls, each the best at that recall or a higher one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lprc.models.plate_detector.decode import Detections, box_overlaps

OVERLAPS = tuple(np.linspace(0.5, 0.95, 10).tolist())
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class AveragePrecision:
    """Of a set of images, each 0 to 1.

    Attributes:
        at_50: A detection is right where it overlaps a plate by half.
        at_75: … by three quarters.
        mean: Over the overlaps 0.5, 0.55 … 0.95: COCO's mAP.
        recall_50: Part of the plates that any detection finds at half overlap.
    """

    at_50: float
    at_75: float
    mean: float
    recall_50: float


def _matches(
    detections: Detections, plates: NDArray[np.float32], overlap: float
) -> NDArray[np.bool_]:
    """Return bool [n]: which detections, best first, match a plate that no better one matched."""
    right = np.zeros(len(detections.scores), bool)
    if not len(plates):
        return right
    pairs = box_overlaps(detections.boxes, plates)
    for index in range(len(right)):
        best = int(pairs[index].argmax())
        if pairs[index, best] >= overlap:
            right[index] = True
            pairs[:, best] = -1
    return right


def _interpolated(scores: NDArray[np.float32], right: NDArray[np.bool_], plates: int) -> float:
    order = np.argsort(-scores, kind="mergesort")
    hits = np.cumsum(right[order])
    recall = hits / plates
    precision = hits / np.arange(1, len(order) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, _RECALLS, side="left")
    values = np.append(envelope, 0.0)[np.minimum(at, len(envelope))]
    return float(values.mean())


def average_precision(
    detections: Sequence[Detections], plates: Sequence[NDArray[np.float32]]
) -> AveragePrecision:
    """Score the detections of images against their plates, float32 [n, 4] each.

    Raises:
        ValueError: No image has a plate, or the sequences are not equally long.
    """
    count = sum(map(len, plates))
    if not count:
        raise ValueError("there is no plate to find")
    scores = np.concatenate([image.scores for image in detections])
    precisions, recall_50 = {}, 0.0
    for overlap in OVERLAPS:
        right = np.concatenate(
            [
                _matches(image, truth, overlap)
                for image, truth in zip(detections, plates, strict=True)
            ]
        )
        precisions[overlap] = _interpolated(scores, right, count)
        if overlap == OVERLAPS[0]:
            recall_50 = float(right.sum() / count)
    values = list(precisions.values())
    return AveragePrecision(values[0], values[5], float(np.mean(values)), recall_50)
