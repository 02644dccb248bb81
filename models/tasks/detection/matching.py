"""Which of an image's detections are right: pycocotools decides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import MissingDependencyError
from lprc.core.process.installed import is_installed
from lprc.models.tasks.detection.boxes import Detections
from lprc.models.tasks.detection.precision import OVERLAPS, ImageMatches
from lprc.models.tasks.detection.truth import Truth

_EVERY_AREA = (0.0, 1e10)


def check_pycocotools() -> None:
    """Refuse before any work what can't be scored.

    Raises:
        MissingDependencyError: pycocotools is not installed.
    """
    if not is_installed("pycocotools"):
        raise MissingDependencyError(
            "average precision needs pycocotools", hint='pip install "lprc[detection]"'
        )


def matches(detections: Detections, truth: Truth, classes: int, limit: int) -> ImageMatches:
    """How an image's detections match what is in it, at each of `OVERLAPS`.

    Args:
        detections: In the image.
        truth: What is there.
        classes: How many classes there are.
        limit: How many of a class's detections are looked at.

    Raises:
        MissingDependencyError: pycocotools is not installed.
    """
    check_pycocotools()
    from pycocotools.cocoeval import COCOeval

    judge = COCOeval(iouType="bbox")
    judge.params.iouThrs = OVERLAPS
    judge.params.maxDets = [limit]
    judge._gts, judge._dts = {}, {}
    judge.ious = {}
    labels, scores, right, counted = [], [], [], []
    for label in np.unique(np.concatenate([detections.classes, truth.classes])):
        key = (0, int(label))
        judge._gts[key] = _truths(truth, label)
        judge._dts[key] = _found(detections, label)
        judge.ious[key] = judge.computeIoU(*key)
        result = judge.evaluateImg(*key, _EVERY_AREA, limit)
        labels.append(np.full(len(result["dtScores"]), label, np.int64))
        scores.append(np.asarray(result["dtScores"], np.float64))
        counted.append(~np.asarray(result["dtIgnore"], bool))
        right.append(np.asarray(result["dtMatches"] > 0) & counted[-1])
    return ImageMatches(
        np.concatenate([np.zeros(0, np.int64), *labels]),
        np.concatenate([np.zeros(0), *scores]),
        _joined(right),
        _joined(counted),
        np.bincount(truth.classes[~truth.crowd], minlength=classes).astype(np.int64),
    )


def _joined(parts: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.concatenate([np.zeros((len(OVERLAPS), 0), bool), *parts], axis=1)


def _truths(truth: Truth, label: np.int64) -> list[dict[str, Any]]:
    """As pycocotools has annotations; their numbers are from 1, for 0 is "no match" to it."""
    return [
        {**_box(truth.boxes[index], number), "iscrowd": crowd, "ignore": crowd}
        for number, index in enumerate(np.flatnonzero(truth.classes == label), 1)
        for crowd in [int(truth.crowd[index])]
    ]


def _found(found: Detections, label: np.int64) -> list[dict[str, Any]]:
    return [
        {**_box(found.boxes[index], number), "score": float(found.scores[index])}
        for number, index in enumerate(np.flatnonzero(found.classes == label), 1)
    ]


def _box(box: NDArray[Any], number: int) -> dict[str, Any]:
    left, top, right, bottom = (float(side) for side in box)
    width, height = right - left, bottom - top
    return {"id": number, "bbox": [left, top, width, height], "area": width * height}
