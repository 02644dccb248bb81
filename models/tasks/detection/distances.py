"""Heads that give distances from points: FCOS, NanoDet, and YOLOv8 before its own decoding.

Z. Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", arXiv:1904.01355; X. Li et
al., "Generalized Focal Loss", arXiv:2006.04388, for distances as distributions over bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lprc.core.tasks.points import grid_points, grid_sizes
from lprc.models.tasks.detection.raw import Candidates, Raw, activated, finest_first
from lprc.models.tasks.detection.roles import Array

Floats = NDArray[np.float32]


def decode_fcos(raw: Raw) -> Candidates:
    """Scores, four distances and maybe the centre-ness of each point.

    The score is the geometric mean of a class's and the centre-ness. With a single class the
    centre-ness must be named: it has the scores' shape.
    """
    distances, scores = raw.boxes_and_scores()
    centred = raw.role("objectness", 1) if has_centre_ness(raw) else None
    if centred is not None:
        scores = np.sqrt(scores * activated(centred, raw.settings.activation or "none"))
    return Candidates(_boxes(raw, distances), scores)


def has_centre_ness(raw: Raw) -> bool:
    """Whether an output with one channel may be FCOS's centre-ness."""
    return bool(raw.settings.objectness) or raw.score_channels > 1


def decode_distributions(raw: Raw) -> Candidates:
    """Each distance as logits over bins 0, 1 … in strides; its value is their mean."""
    levels = distribution_levels(raw)
    sides = np.concatenate([*levels.sides.values()], axis=1)
    if levels.scores:
        scores = np.concatenate([*levels.scores.values()], axis=1).astype(np.float32)
    elif levels.scores_first:
        scores, sides = np.split(sides, [raw.score_channels], axis=2)
    else:
        sides, scores = np.split(sides, [4 * levels.bins], axis=2)
    return Candidates(_boxes(raw, _expected(sides)), raw.class_scores(scores))


@dataclass(frozen=True)
class DistributionLevels:
    """The outputs with distributions and scores, each [N, K, channels], the finest level first.

    Attributes:
        sides: Those with distributions, by name.
        scores: Those with scores; empty where they stand in the same rows.
        scores_first: Whether they stand in front there: NanoDet's do, YOLOv8's stand behind.
        bins: Of each distribution.
    """

    sides: dict[str, Floats]
    scores: dict[str, Floats]
    scores_first: bool
    bins: int


def distribution_levels(raw: Raw) -> DistributionLevels:
    """Which outputs are distributions: boxes and scores are two a level, or one.

    Raises:
        DataError: The outputs have other grids, or their channels are no distributions.
    """
    count, settings = raw.score_channels, raw.settings
    if settings.boxes:
        sides = _levels(raw, dict(zip(settings.boxes, raw.named(settings.boxes), strict=True)))
        scores = raw.levels("scores", count) if settings.scores else {}
    else:
        levels = _levels(raw, raw.outputs)
        sides = {name: level for name, level in levels.items() if level.shape[2] != count}
        scores = {name: level for name, level in levels.items() if level.shape[2] == count}
    widths = {level.shape[2] for level in sides.values()}
    if len(widths) != 1:
        raise raw.wrong("the levels have no common number of channels")
    channels = widths.pop() - (0 if scores else count)
    if channels < 8 or channels % 4:
        raise raw.wrong(f"{channels} channels of distances are not 4 times the bins")
    return DistributionLevels(sides, scores, settings.head == "nanodet", channels // 4)


def _levels(raw: Raw, arrays: Mapping[str, Array]) -> dict[str, Floats]:
    return finest_first({name: _level(raw, array) for name, array in arrays.items()})


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
