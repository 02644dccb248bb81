"""From the scores of many boxes to the few that are found: thresholds and suppression."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.models.tasks.detection.boxes import Detections, box_overlaps


def suppress(detections: Detections, overlap: float, limit: int) -> Detections:
    """Those that remain of boxes sorted by falling score, at most `limit`.

    Greedy: a box goes when it overlaps a better one of its class that remains by more than
    `overlap`.
    """
    left = np.arange(len(detections.scores))
    remaining: list[np.intp] = []
    while left.size and len(remaining) < limit:
        best, left = left[0], left[1:]
        remaining.append(best)
        pairs = box_overlaps(detections.boxes[best : best + 1], detections.boxes[left])[0]
        same = detections.classes[left] == detections.classes[best]
        left = left[~(same & (pairs > overlap))]
    return detections.picked(np.array(remaining, np.intp))


def select(
    scores: NDArray[Any],
    boxes: NDArray[np.float32],
    *,
    threshold: float = 0.3,
    overlap: float = 0.5,
    candidates: int = 300,
    limit: int = 100,
    landmarks: NDArray[np.float32] | None = None,
) -> Detections:
    """What is found in one image.

    Args:
        scores: [boxes, classes], 0 to 1; a box may be found once for each class.
        boxes: float32 [boxes, 4]: left, top, right, bottom.
        threshold: The least score.
        overlap: Of two boxes of a class that overlap by more, the better remains.
        candidates: How many of the best scores are looked at.
        limit: How many are found at most.
        landmarks: float32 [boxes, 4, 2], or None.
    """
    flat = scores.reshape(-1)
    passing = np.flatnonzero(flat >= threshold)
    best = passing[np.argsort(-flat[passing], kind="stable")[:candidates]]
    row, column = np.divmod(best, scores.shape[1])
    points = None if landmarks is None else landmarks[row]
    chosen = Detections(boxes[row], flat[best].astype(np.float32), column.astype(np.int64), points)
    return suppress(chosen, overlap, limit)
