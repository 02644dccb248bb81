"""Heads that give offsets from prior boxes: SSD, RetinaFace, RetinaNet.

W. Liu et al., "SSD: Single Shot MultiBox Detector", arXiv:1512.02325.
"""

from __future__ import annotations

import numpy as np

from lprc.core.tasks.points import prior_boxes
from lprc.models.tasks.detection.raw import Candidates, Raw


def decode_priors(raw: Raw) -> Candidates:
    """Scores [N, K, classes] and offsets [N, K, 4], or maps of each level.

    Offsets are of the centre, in the prior's sides, and of the sides' logarithms; both are
    multiplied with the variances.
    """
    settings = raw.settings
    counts = {len(level) for level in settings.anchors}
    per_cell = counts.pop() if len(counts) == 1 else 1
    priors, _ = prior_boxes(raw.size, settings.strides, settings.anchors)
    offsets, scores = raw.boxes_and_scores(per_cell)
    raw.check_cells(offsets, len(priors))
    near, sides = (np.float32(value) for value in settings.variances)
    centres = priors[:, :2] + offsets[..., :2] * near * priors[:, 2:]
    halves = priors[:, 2:] * np.exp(offsets[..., 2:] * sides) / 2
    boxes = np.concatenate([centres - halves, centres + halves], axis=-1).astype(np.float32)
    points = raw.landmarks(per_cell)
    if points is not None:
        points = priors[:, None, :2] + points * near * priors[:, None, 2:]
    return Candidates(boxes, scores, points)
