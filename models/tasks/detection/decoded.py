"""Heads whose boxes the graph has decoded already: `boxes` and `yolov8`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lprc.models.tasks.detection.boxes import corners
from lprc.models.tasks.detection.raw import Candidates, Raw


def decode_boxes(raw: Raw) -> Candidates:
    """Scores [N, K, classes] (or [N, K]) and boxes [N, K, 4] as two outputs."""
    boxes, scores = raw.boxes_and_scores()
    points = raw.landmarks()
    if points is not None and raw.settings.normalized:
        points = points * np.array(raw.size, np.float32)
    return Candidates(in_pixels(raw, boxes), scores, points)


def decode_yolov8(raw: Raw) -> Candidates:
    """One output [N, 4 + classes, K] (or [N, K, 4 + classes]), as Ultralytics exports YOLOv8."""
    joint = raw.needed("boxes", 4 + raw.score_channels)
    return Candidates(in_pixels(raw, joint[..., :4]), raw.class_scores(joint[..., 4:]))


def in_pixels(raw: Raw, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Decoded boxes [..., 4] as left, top, right, bottom in pixels of the input."""
    sides = corners(boxes, raw.settings.box_format or "corners")
    if not raw.settings.normalized:
        return sides
    return np.asarray(sides * np.array(raw.size * 2, np.float32), np.float32)
