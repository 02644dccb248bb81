"""Boxes of one image, and how much they overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lprc.core.tasks.placement import Placement

BoxFormat = Literal["corners", "corners-yx", "centers"]


@dataclass(frozen=True)
class Detections:
    """What was found in one image, best first.

    Attributes:
        boxes: float32 [n, 4]: left, top, right, bottom in pixels.
        scores: float32 [n], 0 to 1, falling.
        classes: int64 [n].
        landmarks: float32 [n, 4, 2]: x and y in pixels of four points of each; None where the
            network gives none.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    landmarks: NDArray[np.float32] | None = None

    def at_least(self, score: float) -> Detections:
        """Those that have this score."""
        return self.picked(np.flatnonzero(self.scores >= score))

    def picked(self, indices: NDArray[np.intp]) -> Detections:
        """Some of them."""
        points = None if self.landmarks is None else self.landmarks[indices]
        return Detections(self.boxes[indices], self.scores[indices], self.classes[indices], points)

    def in_image(self, place: Placement) -> Detections:
        """With the boxes in pixels of the image rather than of the input, cut off at its edges."""
        x, y = self.boxes[:, 0::2], self.boxes[:, 1::2]
        left, top = place.to_image(0.0, 0.0)
        across, down = place.image[0] / place.scaled[0], place.image[1] / place.scaled[1]
        boxes = np.empty_like(self.boxes)
        boxes[:, 0::2] = np.clip(x * across + left, 0, place.image[0])
        boxes[:, 1::2] = np.clip(y * down + top, 0, place.image[1])
        points = self.landmarks
        if points is not None:
            scale, shift = np.array(((across, down), (left, top)), np.float32)
            points = points * scale + shift
        return Detections(boxes, self.scores, self.classes, points)


def corners(boxes: NDArray[Any], form: BoxFormat) -> NDArray[np.float32]:
    """Boxes [..., 4] of any form as left, top, right, bottom."""
    values = boxes.astype(np.float32)
    if form == "corners-yx":
        return values[..., [1, 0, 3, 2]]
    if form == "corners":
        return values
    centres, halves = values[..., :2], values[..., 2:] / 2
    return np.concatenate([centres - halves, centres + halves], axis=-1)


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
