"""The passes behind which a detector's graph gives the boxes that are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lprc.core.tasks.graph_answer import GraphAnswer, NotInGraphError, OptionTexts
from lprc.models.tasks.detection.distances import distribution_levels, has_centre_ness
from lprc.models.tasks.detection.heads import JOINT_HEADS
from lprc.models.tasks.detection.raw import Raw
from lprc.models.tasks.detection.yolov5 import decoded_output

_CORNERS = {"corners": "xyxy", "centers": "cxcywh"}
"""What embed-postprocessing calls the forms that it takes."""


def answer_passes(raw: Raw) -> GraphAnswer:
    """Options of the passes, by name, for outputs of these shapes.

    Decoded boxes in pixels with scores that need no activation go to suppression as they are;
    others are decoded in front of it.

    Raises:
        NotInGraphError: The boxes are found already, or have landmarks.
        DataError: The outputs are not the head's.
    """
    settings = raw.settings
    if settings.head == "nms":
        raise NotInGraphError("the network finds its boxes by itself")
    if settings.landmarks:
        raise NotInGraphError("its rows have no place for landmarks")
    limits: OptionTexts = {
        "rows": str(settings.max_detections),
        "overlap": repr(settings.iou_threshold),
        "score": repr(settings.score_threshold),
    }
    decoding = decoding_options(raw)
    plain = _as_they_are(raw, decoding)
    if plain is not None:
        return {"embed-postprocessing": {"kind": "nms", **plain, **limits}}
    return {
        "decode-boxes": decoding,
        "embed-postprocessing": {"kind": "nms", "classes-last": "true", **limits},
    }


def _as_they_are(raw: Raw, decoding: OptionTexts) -> OptionTexts | None:
    """Where embed-postprocessing finds boxes and scores by itself; None where it does not."""
    settings = raw.settings
    form = _CORNERS.get(str(decoding["form"]))
    is_scored = (decoding["activation"], decoding["background"]) == ("none", "none")
    if form is None or settings.normalized or not is_scored or "alone" in decoding:
        return None
    boxes, scores = decoding["boxes"], decoding.get("scores", ())
    if len(boxes) != 1 or len(scores) > 1:
        return None
    if settings.head not in JOINT_HEADS:
        return {"boxes": boxes[0], "scores": scores[0], "form": form, "classes-last": "true"}
    has_objectness = JOINT_HEADS[settings.head]
    options: OptionTexts = {"channels": str(4 + has_objectness + len(settings.classes))}
    if has_objectness:
        options["objectness"] = "true"
    if settings.boxes:
        options["output"] = boxes[0]
    return {**options, "form": form}


def decoding_options(raw: Raw) -> OptionTexts:
    """Options of decode-boxes.

    Raises:
        DataError: The outputs are not the head's.
    """
    settings = raw.settings
    options: OptionTexts = {
        "classes": str(raw.score_channels),
        "activation": settings.activation or "none",
        "background": settings.background or "none",
        "width": str(raw.size[0]),
        "height": str(raw.size[1]),
        "normalized": str(settings.normalized).lower(),
        **_OPTIONS[settings.head](raw),
    }
    if options["form"] not in ("corners", "corners-yx", "centers"):
        options["normalized"] = "false"
        options["strides"] = tuple(map(str, settings.strides))
    named = {name for key in ("boxes", "scores", "objectness") for name in options.get(key, ())}
    if named != raw.outputs.keys():
        options["alone"] = "true"
    return options


def _boxes(raw: Raw) -> OptionTexts:
    boxes, scores = raw.levels_apart()
    _check(raw, boxes=boxes, scores=scores)
    return {
        "form": raw.settings.box_format or "corners",
        "boxes": tuple(boxes),
        "scores": tuple(scores),
    }


def _yolov8(raw: Raw) -> OptionTexts:
    return {
        "form": raw.settings.box_format or "corners",
        "boxes": _joint(raw, 4 + raw.score_channels),
        "row": ("boxes", "scores"),
    }


def _yolov5(raw: Raw) -> OptionTexts:
    settings = raw.settings
    rows: OptionTexts = {"row": ("boxes", "objectness", "scores")}
    decoded = decoded_output(raw)
    if decoded is not None:
        return {**rows, "form": settings.box_format or "corners", "boxes": (decoded,)}
    names = _joint(raw, 5 + raw.score_channels, len(settings.anchors[0]))
    return {
        **rows,
        **_anchors(raw),
        "form": "anchors",
        "boxes": names,
        "activation": settings.activation or "sigmoid",
    }


def _yolox(raw: Raw) -> OptionTexts:
    return {
        "form": "cells",
        "boxes": _joint(raw, 5 + raw.score_channels),
        "row": ("boxes", "objectness", "scores"),
        "offset": repr(raw.settings.point_offset or 0.0),
    }


def _priors(raw: Raw) -> OptionTexts:
    counts = {len(level) for level in raw.settings.anchors}
    boxes, scores = raw.levels_apart(counts.pop() if len(counts) == 1 else 1)
    _check(raw, boxes=boxes, scores=scores)
    return {
        **_anchors(raw),
        "form": "offsets",
        "boxes": tuple(boxes),
        "scores": tuple(scores),
        "variances": tuple(map(repr, raw.settings.variances)),
    }


def _fcos(raw: Raw) -> OptionTexts:
    boxes, scores = raw.levels_apart()
    _check(raw, boxes=boxes, scores=scores)
    options: OptionTexts = {
        **_distances(raw),
        "form": "distances",
        "boxes": tuple(boxes),
        "scores": tuple(scores),
    }
    centred = raw.levels("objectness", 1) if has_centre_ness(raw) else {}
    if centred:
        options |= {"objectness": tuple(centred), "combine": "geometric-mean"}
    return options


def _distributions(raw: Raw) -> OptionTexts:
    levels = distribution_levels(raw)
    options: OptionTexts = {
        **_distances(raw),
        "form": "distributions",
        "boxes": tuple(levels.sides),
        "bins": str(levels.bins),
    }
    if levels.scores:
        return {**options, "scores": tuple(levels.scores)}
    return {**options, "row": ("scores", "boxes") if levels.scores_first else ("boxes", "scores")}


_OPTIONS: Mapping[str, Callable[[Raw], OptionTexts]] = {
    "boxes": _boxes,
    "fcos": _fcos,
    "nanodet": _distributions,
    "retinaface": _priors,
    "ssd": _priors,
    "yolov5": _yolov5,
    "yolov8": _yolov8,
    "yolov8-dfl": _distributions,
    "yolox": _yolox,
}


def _distances(raw: Raw) -> OptionTexts:
    offset = raw.settings.point_offset
    return {
        "offset": repr(0.5 if offset is None else offset),
        "unit": raw.settings.distance_unit,
    }


def _anchors(raw: Raw) -> OptionTexts:
    levels = raw.settings.anchors
    sides = (side for level in levels for anchor in level for side in anchor)
    return {
        "anchors": tuple(map(repr, sides)),
        "anchors-of-level": tuple(str(len(level)) for level in levels),
    }


def _joint(raw: Raw, channels: int, per_cell: int = 1) -> tuple[str, ...]:
    """The outputs with boxes and scores in one row."""
    names = tuple(raw.levels("boxes", channels, per_cell))
    _check(raw, boxes=names)
    return names


def _check(raw: Raw, **levels: Iterable[str]) -> None:
    for key, names in levels.items():
        if not [*names]:
            raise raw.wrong(f"no output may be {key}")
