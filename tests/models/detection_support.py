"""What tests of detectors share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.core.tasks.task_file import task_from_table
from lprc.models.tasks.detection import Detection
from lprc.models.tasks.detection.boxes import Detections
from lprc.models.tasks.detection.truth import Truth

INPUT = {"width": 64, "height": 32, "color": "RGB"}


def detector(
    classes: Sequence[str] = ("car", "bus"),
    *,
    image: Mapping[str, Any] = INPUT,
    data: Mapping[str, Any] | None = None,
    **output: Any,
) -> Detection:
    """A task with some keys of [output]."""
    table = {
        "task": "detection",
        "input": dict(image),
        "output": {"classes": list(classes), **output},
        "data": dict(data or {}),
    }
    task = task_from_table(table, "tested", "tested.toml")
    assert isinstance(task, Detection)
    return task


def detections(
    boxes: Any, scores: Sequence[float], classes: Sequence[int] | None = None
) -> Detections:
    labels = np.zeros(len(scores), np.int64) if classes is None else np.array(classes, np.int64)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), labels
    )


def truth(boxes: Any, classes: Sequence[int] | None = None) -> Truth:
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    labels = np.zeros(len(corners), np.int64) if classes is None else np.array(classes, np.int64)
    return Truth(corners, labels, np.zeros(len(corners), bool))


def found(task: Detection, **outputs: NDArray[Any]) -> list[tuple[str, float, list[float]]]:
    """Class, score and sides of each box of the one image in a batch."""
    (answer,) = task.answers(outputs, [None])
    return [
        (task.classes[label], round(float(score), 4), [round(float(side), 3) for side in box])
        for label, score, box in zip(answer.classes, answer.scores, answer.boxes, strict=True)
    ]


def logit(share: float) -> float:
    return float(np.log(share / (1 - share)))
