"""YOLOX's head as its own export leaves it: centres and sizes in strides of each cell.

Z. Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430. Where the export decodes
(``--decode_in_inference``), the head is `yolov5`: the rows have the same form.
"""

from __future__ import annotations

import numpy as np

from lprc.core.tasks.points import grid_points
from lprc.models.tasks.detection.raw import Candidates, Raw, activated


def decode_yolox(raw: Raw) -> Candidates:
    """[N, K, 5 + classes]: centre, logarithms of the sides, objectness and the classes' scores."""
    settings = raw.settings
    rows = raw.needed("boxes", 5 + raw.score_channels)
    corners, steps = grid_points(raw.size, settings.strides, settings.point_offset or 0.0)
    raw.check_cells(rows, len(corners))
    centres = corners + rows[..., :2] * steps
    halves = np.exp(rows[..., 2:4]) * steps / 2
    scores = activated(rows[..., 4:], settings.activation or "none")
    return Candidates(
        np.concatenate([centres - halves, centres + halves], axis=-1),
        raw.without_background(scores[..., 1:]) * scores[..., :1],
    )
