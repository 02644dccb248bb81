"""The keys of a detector's task file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from lprc.core.files.checked import StrictTable, WrongValue
from lprc.core.tasks.image_input import ImageInput
from lprc.models.tasks.classification import ClassNames
from lprc.models.tasks.detection.boxes import BoxFormat

Head = Literal[
    "auto",
    "boxes",
    "fcos",
    "nanodet",
    "nms",
    "retinaface",
    "ssd",
    "yolov5",
    "yolov8",
    "yolov8-dfl",
    "yolox",
]
Activation = Literal["none", "sigmoid", "softmax"]
Column = Literal["x1", "y1", "x2", "y2", "score", "class", "image"]


_WITH_LANDMARKS = ("boxes", "ssd", "retinaface")


def _listed(value: object) -> object:
    """TOML's lists as tuples, at any depth; one string as a list of it."""
    if isinstance(value, str):
        return (value,)
    return tuple(_listed(item) if isinstance(item, list) else item for item in value)  # type: ignore[attr-defined]


def _tuples(value: object) -> object:
    return _listed(value) if isinstance(value, list | str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_tuples)]
Share = Annotated[float, Field(ge=0, le=1)]
Side = Annotated[float, Field(gt=0)]
Anchor = tuple[Side, Side]
Strides = Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], BeforeValidator(_tuples)]
Anchors = Annotated[tuple[tuple[Anchor, ...], ...], BeforeValidator(_tuples)]
Variances = Annotated[tuple[Side, Side], BeforeValidator(_tuples)]
Columns = Annotated[tuple[Column, ...], BeforeValidator(_tuples)]


class BoxOutputs(StrictTable):
    """What a detector's outputs mean, and which of its boxes are found.

    `head` says how outputs become boxes; what is left out is as that head's networks have it.

    ========== =====================================================================================
    boxes      scores [N, K, classes] or [N, K] and decoded boxes [N, K, 4]
    yolov8     [N, 4 + classes, K]: centres and sizes in pixels, scores from 0 to 1
    yolov8-dfl a level [N, 4 * bins + classes, H, W], or boxes and scores apart
    yolov5     [N, K, 5 + classes] decoded, or a level [N, anchors * (5 + classes), H, W] raw
    yolox      [N, K, 5 + classes] in strides of each cell
    ssd        scores [N, K, classes] and offsets [N, K, 4] from prior boxes
    retinaface the same with RetinaFace's priors
    fcos       a level: scores, distances from points, centre-ness
    nanodet    [N, K, classes + 4 * bins]
    nms        rows [N, K, 6] or [K, 6]; or boxes, scores, labels and maybe their count
    auto       one of these, by shapes
    ========== =====================================================================================

    Attributes:
        classes: Their names, without a background.
        head: How outputs become boxes.
        scores: The outputs of scores, by name; where none is named they are told by shape.
        boxes: The outputs of boxes.
        objectness: The outputs of objectness or centre-ness.
        landmarks: The outputs of four points of each box, x and y: of the heads `boxes`, `ssd` and
            `retinaface`, decoded as their boxes are.
        labels: The output of class numbers, behind suppression in the graph.
        count: The output of how many boxes are valid, behind suppression in the graph.
        activation: What makes outputs scores.
        background: Where a class for nothing stands; class numbers are counted from behind it.
        box_format: Of decoded boxes.
        normalized: Whether decoded boxes are parts of the input's width and height.
        columns: What the columns of rows are.
        strides: Pixels between the cells of each level.
        anchors: Widths and heights in pixels, by level.
        variances: What offsets of centres and of sizes are multiplied with.
        distance_unit: What distances from points are counted in.
        point_offset: Of a cell's point within the cell, in strides.
        score_threshold: Boxes with less are not looked at. Average precision wants weak ones too.
        shown_threshold: Boxes with less are neither drawn nor written.
        iou_threshold: Of two boxes of a class that overlap by more, the better is found.
        candidates: How many of the best scores of an image are looked at.
        max_detections: How many boxes an image has at most; 100 is COCO's rule.
    """

    classes: ClassNames
    head: Head = "auto"
    scores: Names = ()
    boxes: Names = ()
    objectness: Names = ()
    landmarks: Names = ()
    labels: Names = ()
    count: Names = ()
    activation: Activation | None = None
    background: Literal["none", "first", "last"] | None = None
    box_format: BoxFormat | None = None
    normalized: bool = False
    columns: Columns = ("x1", "y1", "x2", "y2", "score", "class")
    strides: Strides = ()
    anchors: Anchors = ()
    variances: Variances = (0.1, 0.2)
    distance_unit: Literal["strides", "pixels"] = "strides"
    point_offset: Share | None = None
    score_threshold: Share = 0.001
    shown_threshold: Share = 0.3
    iou_threshold: Share = 0.6
    candidates: Annotated[int, Field(ge=1, le=100_000)] = 3000
    max_detections: Annotated[int, Field(ge=1, le=10_000)] = 100

    @model_validator(mode="after")
    def _consistent(self) -> BoxOutputs:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("two classes have one name")
        if self.anchors and self.strides and len(self.anchors) != len(self.strides):
            raise WrongValue(
                f"anchors of {len(self.anchors)} levels and strides of {len(self.strides)}",
                "each level has a stride and a list of [width, height]",
            )
        if self.landmarks and self.head not in _WITH_LANDMARKS:
            raise WrongValue(
                f'head = "{self.head}" has no landmarks',
                f"heads that have: {', '.join(_WITH_LANDMARKS)}",
            )
        if not all(self.anchors):
            raise ValueError("a level has no anchors")
        needed = {"x1", "y1", "x2", "y2", "score", "class"}
        if set(self.columns) - {"image"} != needed or len(set(self.columns)) != len(self.columns):
            raise WrongValue(
                "columns must hold x1, y1, x2, y2, score and class once",
                "beside them there may be 'image', the number within the batch",
            )
        return self


class BoxData(StrictTable):
    """Where images and annotations lie in a folder of data.

    Attributes:
        annotations: A COCO file in it; where none is named ``instances.json``,
            ``annotations.json`` or ``_annotations.coco.json``.
        images: The folder of images, if they do not lie beside the annotations.
        labels: The folder of YOLO's ``.txt`` files.
    """

    annotations: str = ""
    images: str = "images"
    labels: str = "labels"


class DetectionTable(StrictTable):
    """A task file of kind ``detection``."""

    input: ImageInput
    output: BoxOutputs
    data: BoxData = BoxData()
