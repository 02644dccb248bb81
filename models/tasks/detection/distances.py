"""Heads that give distances from points: FCOS, NanoDet, and YOLOv8 before its own decoding.

Z. Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", arXiv:1904.01355; X. Li et
al., "Generalized Focal Loss", arXiv:2006.04388, for distances as distributions over bins.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lprc.models.tasks.detection.points import grid_points, grid_sizes
from lprc.models.tasks.detection.raw import Candidates, Raw, activated
from lprc.models.tasks.detection.roles import Array

Floats = NDArray[np.float32]


def decode_fcos(raw: Raw) -> Candidates:
    """Scores, four distances and maybe the centre-ness of each point.

    The score is the geometric mean of a class's and the centre-ness. With a single class the
    centre-ness must be named: it has the scores' shape.
    """
    distances, scores = raw.boxes_and_scores()
    is_told = bool(raw.settings.objectness) or raw.score_channels > 1
    centred = raw.role("objectness", 1) if is_told else None
    if centred is not None:
        scores = np.sqrt(scores * activated(centred, raw.settings.activation or "none"))
    return Candidates(_boxes(raw, distances), scores)


def decode_distributions(raw: Raw) -> Candidates:
    """Each distance as logits over bins 0, 1 … in strides; its value is their mean.

    Boxes and scores are two outputs a level, or behind one another in one: NanoDet's scores are
    in front, YOLOv8's behind.
    """
    count = raw.score_channels
    if raw.settings.boxes:
        sides = _joined(raw, raw.named(raw.settings.boxes))
        scores = raw.role("scores", count) if raw.settings.scores else None
    else:
        levels = [_level(raw, array) for array in raw.outputs.values()]
        sides = _joined(raw, [level for level in levels if level.shape[2] != count])
        flat = [level for level in levels if level.shape[2] == count]
        scores = _joined(raw, flat) if flat else None
    if scores is None:
        width = sides.shape[2] - count
        if raw.settings.head == "nanodet":
            scores, sides = sides[..., :count], sides[..., count:]
        else:
            sides, scores = sides[..., :width], sides[..., width:]
    if sides.shape[2] < 8 or sides.shape[2] % 4:
        raise raw.wrong(f"{sides.shape[2]} channels of distances are not 4 times the bins")
    return Candidates(_boxes(raw, _expected(sides)), raw.class_scores(scores))


def _level(raw: Raw, array: Array) -> Floats:
    """An output as float32 [N, cells, channels]: the axis of cells is the one of a grid's size."""
    grids = [columns * rows for columns, rows in grid_sizes(raw.size, raw.settings.strides)]
    grids.append(sum(grids))
    values: Floats = array.astype(np.float32)
    if values.ndim == 4:
        values = values.reshape(*array.shape[:2], -1)
    if values.ndim == 3 and (array.ndim == 4 or values.shape[1] not in grids):
        values = values.swapaxes(1, 2)
    if values.ndim != 3 or values.shape[1] not in grids:
        strides = list(raw.settings.strides)
        raise raw.wrong(f"an output {list(array.shape)} has no grid of strides {strides}")
    return values


def _joined(raw: Raw, arrays: Iterable[Array]) -> Floats:
    levels = sorted((_level(raw, array) for array in arrays), key=lambda level: -level.shape[1])
    if len({level.shape[2] for level in levels}) != 1:
        raise raw.wrong("the levels have no common number of channels")
    return np.concatenate(levels, axis=1)


def _expected(logits: Floats) -> Floats:
    """The mean of the distribution of each side, float32 [N, K, 4], in strides."""
    bins = logits.shape[2] // 4
    shares = activated(logits.reshape(*logits.shape[:2], 4, bins), "softmax")
    return np.asarray(shares @ np.arange(bins, dtype=np.float32), np.float32)


def _boxes(raw: Raw, distances: Floats) -> Floats:
    """Boxes from left, top, right and bottom distances."""
    settings = raw.settings
    offset = 0.5 if settings.point_offset is None else settings.point_offset
    points, steps = grid_points(raw.size, settings.strides, offset)
    raw.check_cells(distances, len(points))
    lengths = distances * steps if settings.distance_unit == "strides" else distances
    return np.concatenate([points - lengths[..., :2], points + lengths[..., 2:]], axis=-1)
