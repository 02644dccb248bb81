"""From the detector's scores and boxes to the plates of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detections:
    """The plates found in one image, best first.

    Attributes:
        boxes: float32 [n, 4]: left, top, right, bottom in pixels.
        scores: float32 [n], 0 to 1, falling.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


def box_overlaps(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return float64 [n, m]: the intersection over union of boxes [n, 4] and [m, 4]."""
    one, other = first[:, None].astype(np.float64), second[None].astype(np.float64)
    low = np.maximum(one[..., :2], other[..., :2])
    high = np.minimum(one[..., 2:], other[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [np.clip(b[..., 2:] - b[..., :2], 0, None).prod(axis=-1) for b in (one, other)]
    union = areas[0] + areas[1] - shared
    result: NDArray[np.float64] = np.divide(
        shared, union, out=np.zeros_like(shared), where=union > 0
    )
    return result


def suppress(boxes: NDArray[np.float32], overlap: float) -> NDArray[np.intp]:
    """Return which boxes remain of [n, 4], sorted by falling score: non-maximum suppression.

    Greedy: a box goes when it overlaps a better one that remains by more than ``overlap``.
    """
    pairs = box_overlaps(boxes, boxes) > overlap
    remaining = np.ones(len(boxes), bool)
    for index in range(len(boxes)):
        if remaining[index]:
            remaining[index + 1 :] &= ~pairs[index, index + 1 :]
    return np.flatnonzero(remaining)


def decode(
    scores: NDArray[np.float32],
    boxes: NDArray[np.float32],
    *,
    threshold: float = 0.3,
    overlap: float = 0.5,
    candidates: int = 300,
    limit: int = 100,
) -> Detections:
    """Return the plates of one image.

    Args:
        scores: float32 [points].
        boxes: float32 [points, 4].
        threshold: The least score.
        overlap: Of two boxes that overlap by more, the better remains.
        candidates: How many of the best points are looked at.
        limit: How many plates are returned at most.
    """
    order = np.argsort(-scores, kind="stable")[:candidates]
    order = order[scores[order] >= threshold]
    kept = order[suppress(boxes[order], overlap)[:limit]]
    return Detections(boxes[kept], scores[kept])
