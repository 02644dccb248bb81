"""The heads by name, with what is usual for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lprc.core.errors import DataError
from lprc.models.tasks.detection.boxes import Detections
from lprc.models.tasks.detection.decoded import decode_boxes, decode_yolov8
from lprc.models.tasks.detection.distances import decode_distributions, decode_fcos
from lprc.models.tasks.detection.finished import read_finished
from lprc.models.tasks.detection.guess import guessed_heads
from lprc.models.tasks.detection.priors import decode_priors
from lprc.models.tasks.detection.raw import Candidates, Raw
from lprc.models.tasks.detection.roles import Array
from lprc.models.tasks.detection.suppression import select
from lprc.models.tasks.detection.table import BoxOutputs
from lprc.models.tasks.detection.yolov5 import decode_yolov5
from lprc.models.tasks.detection.yolox import decode_yolox

YOLOV5_ANCHORS = (
    ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)),
    ((30.0, 61.0), (62.0, 45.0), (59.0, 119.0)),
    ((116.0, 90.0), (156.0, 198.0), (373.0, 326.0)),
)
"""Those of the published weights."""

RETINAFACE_ANCHORS = (
    ((16.0, 16.0), (32.0, 32.0)),
    ((64.0, 64.0), (128.0, 128.0)),
    ((256.0, 256.0), (512.0, 512.0)),
)

USUAL: Mapping[str, Mapping[str, Any]] = {
    "boxes": {"activation": "none"},
    "fcos": {"activation": "sigmoid", "strides": (8, 16, 32, 64, 128)},
    "nanodet": {"activation": "none", "strides": (8, 16, 32, 64), "point_offset": 0.0},
    "nms": {},
    "retinaface": {
        "activation": "none",
        "background": "first",
        "strides": (8, 16, 32),
        "anchors": RETINAFACE_ANCHORS,
    },
    "ssd": {"activation": "softmax", "background": "first"},
    "yolov5": {"box_format": "centers", "strides": (8, 16, 32), "anchors": YOLOV5_ANCHORS},
    "yolov8": {"activation": "none", "box_format": "centers"},
    "yolov8-dfl": {"activation": "sigmoid", "strides": (8, 16, 32)},
    "yolox": {"activation": "none", "strides": (8, 16, 32)},
}
"""What a task file may leave out, by head. NanoDet's is NanoDet-Plus's: NanoDet-m has three strides
and points in the middle of cells. Networks put a background only where it says so."""

_DECODERS: Mapping[str, Callable[[Raw], Candidates]] = {
    "boxes": decode_boxes,
    "fcos": decode_fcos,
    "nanodet": decode_distributions,
    "retinaface": decode_priors,
    "ssd": decode_priors,
    "yolov5": decode_yolov5,
    "yolov8": decode_yolov8,
    "yolov8-dfl": decode_distributions,
    "yolox": decode_yolox,
}

ROW = ("x1", "y1", "x2", "y2", "score", "class")
FOUND_IN_GRAPH: Mapping[str, Any] = {
    "head": "nms",
    "columns": ROW,
    "background": "none",
    "box_format": "corners",
    "normalized": False,
}
"""What embed-postprocessing makes of every head."""

JOINT_HEADS: Mapping[str, bool] = {"yolov5": True, "yolov8": False}
"""Heads that are decoded and in one output, and whether they have objectness."""

NAME_IN_GRAPH = "detections"
"""What embed-postprocessing calls them."""

_WITH_PRIORS = ("ssd", "retinaface")


def completed(settings: BoxOutputs, where: str) -> BoxOutputs:
    """The settings with what is usual for their head in the place of what they leave out.

    Raises:
        DataError: The head needs something that has no usual value.
    """
    usual = {"background": "none", **USUAL[settings.head]}
    absent = {key: value for key, value in usual.items() if getattr(settings, key) in (None, ())}
    whole = settings.model_copy(update=absent)
    if settings.head in _WITH_PRIORS and not (whole.anchors and whole.strides):
        raise DataError(
            f'head = "{settings.head}" needs anchors and strides',
            where=f"{where}: [output]",
            hint="anchors = [[[width, height], …], …] in pixels, a list for each of the strides",
        )
    if whole.anchors and len(whole.anchors) != len(whole.strides):
        raise DataError(
            f"anchors of {len(whole.anchors)} levels and strides of {len(whole.strides)}",
            where=f"{where}: [output]",
        )
    return whole


def raw_outputs(
    outputs: Mapping[str, Array], settings: BoxOutputs, size: tuple[int, int], where: str
) -> Raw:
    """Outputs with whole settings; ``auto`` is told by their shapes.

    Raises:
        DataError: No head has such outputs, or as of `completed`.
    """
    settings = as_put_out(outputs, settings)
    if settings.head == "auto":
        shapes = {name: array.shape for name, array in outputs.items()}
        fitting = guessed_heads(shapes, size, classes=len(settings.classes))
        if not fitting:
            raise Raw(outputs, settings, size, where).wrong("no head has such outputs")
        settings = settings.model_copy(update={"head": fitting[0].head})
    return Raw(outputs, completed(settings, where), size, where)


def as_put_out(outputs: Mapping[str, Array], settings: BoxOutputs) -> BoxOutputs:
    """The settings; those of rows where embed-postprocessing has put rows in the outputs' place."""
    if not _is_found_in_graph(outputs, settings):
        return settings
    return settings.model_copy(update=FOUND_IN_GRAPH)


def _is_found_in_graph(outputs: Mapping[str, Array], settings: BoxOutputs) -> bool:
    """Whether embed-postprocessing has put rows in the place of scores and boxes.

    A network of two classes whose scores stand behind boxes has rows of the same length: there the
    answer's name tells. Rows of the head `nms` are the network's own.
    """
    rows = [array.shape[2:] for array in outputs.values()] == [(len(ROW),)]
    if settings.head in ("boxes", "nms"):
        return rows and settings.head == "boxes"
    return rows and list(outputs) == [NAME_IN_GRAPH]


def detections(raw: Raw, samples: int) -> list[Detections]:
    """What is found in each of the first samples, in pixels of the input.

    Raises:
        DataError: The outputs are not the head's.
    """
    settings = raw.settings
    if settings.head == "nms":
        return read_finished(raw, samples)
    candidates = _DECODERS[settings.head](raw)
    if candidates.scores.shape[:2] != candidates.boxes.shape[:2]:
        raise raw.wrong(
            f"{candidates.scores.shape[1]} scores and {candidates.boxes.shape[1]} boxes"
        )
    return [
        select(
            candidates.scores[index],
            candidates.boxes[index],
            threshold=settings.score_threshold,
            overlap=settings.iou_threshold,
            candidates=settings.candidates,
            limit=settings.max_detections,
            landmarks=None if candidates.landmarks is None else candidates.landmarks[index],
        )
        for index in range(samples)
    ]
