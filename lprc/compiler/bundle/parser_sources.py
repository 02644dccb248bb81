"""The C++ sources of nvinfer's parsers, one a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from lprc.compiler.bundle.stages import Stage
from lprc.compiler.bundle.templates import rendered
from lprc.core.errors import DataError
from lprc.models.tasks.detection.heads import JOINT_HEADS, raw_outputs
from lprc.models.tasks.detection.raw import Raw
from lprc.models.tasks.detection.roles import told_by_shape
from lprc.models.tasks.detection.task import Detection
from lprc.models.tasks.plates import Plates

HEADS = ("boxes", *JOINT_HEADS, "nms")
"""Those that the parser library decodes."""

_FORMATS = {"corners": "kCorners", "corners-yx": "kCornersYx", "centers": "kCenters"}
_ACTIVATIONS = {None: "kNone", "none": "kNone", "sigmoid": "kSigmoid", "softmax": "kSoftmax"}


def is_detector(stage: Stage) -> bool:
    """Whether it gives boxes rather than a text.

    Raises:
        DataError: It gives neither.
    """
    if isinstance(stage.task, Detection):
        return True
    if isinstance(stage.task, Plates):
        return False
    raise DataError(
        f"a task of kind '{stage.task.kind}' has no parser here",
        where=stage.where,
        hint="kinds that have one: detection, plates",
    )


def parser_function(stage: Stage) -> str:
    """The name of its parser."""
    return f"NvDsInferParseCustom_{stage.identifier}"


def parser_source(stage: Stage, margin: tuple[float, float], limit: int) -> str:
    """The source of its parser.

    Args:
        stage: The model.
        margin: What a detector's boxes are widened by, in parts of them on each side.
        limit: How many boxes a detector gives.

    Raises:
        DataError: Its outputs can't be read by the parser library.
    """
    function = parser_function(stage)
    if not is_detector(stage):
        return rendered(
            "deepstream_files/parser/reader.cpp.j2", stage=stage, function=function, **_text(stage)
        )
    header, settings = _boxes(stage, limit)
    return rendered(
        "deepstream_files/parser/detector.cpp.j2",
        stage=stage,
        function=function,
        header=header,
        settings=settings,
        margin=[_number(side) for side in margin],
    )


def _text(stage: Stage) -> Mapping[str, str]:
    assert isinstance(stage.task, Plates)
    output = stage.task.settings.output
    if output.decoder != "greedy":
        raise DataError(
            f'is "{output.decoder}", and the parser decodes greedily',
            where=f"{stage.where}: [output] decoder",
            hint='decoder = "greedy"',
        )
    ((name, kind),) = stage.output_types.items()
    _require(stage, name, kind, (ir.DataType.FLOAT, ir.DataType.INT32))
    shape = stage.output_shapes[name]
    is_decoded = kind == ir.DataType.INT32
    if not is_decoded and (len(shape) != 2 or shape[0] != stage.task.num_classes):
        raise DataError(
            f"output '{name}' is {list(shape)}, not [{stage.task.num_classes}, steps]",
            where=stage.where,
        )
    return {
        "reading": "read_codes" if is_decoded else "read_logits",
        "output": quoted(name),
        "signs": "\n".join(f"    {quoted(sign)}," for sign in stage.task.alphabet),
    }


def _boxes(stage: Stage, limit: int) -> tuple[str, str]:
    """The header that decodes a detector's outputs, and its constant ``kHead``."""
    assert isinstance(stage.task, Detection)
    for name, kind in stage.output_types.items():
        _require(stage, name, kind, (ir.DataType.FLOAT,))
    zeros = {name: np.zeros((1, *shape), np.float32) for name, shape in stage.output_shapes.items()}
    raw = raw_outputs(zeros, stage.task.settings.output, stage.task.input.size, stage.where)
    if raw.settings.head not in HEADS:
        raise DataError(
            f'head = "{raw.settings.head}" has no parser here',
            where=f"{stage.where}: [output] head",
            hint='embed = ["postprocessing"] in the pipeline\'s file decodes its boxes in the '
            f"graph; heads that have one: {', '.join(HEADS)}",
        )
    if raw.settings.head == "nms":
        return "finished_boxes.hpp", _finished(raw, limit)
    return "box_heads.hpp", _head(raw, limit)


def _head(raw: Raw, limit: int) -> str:
    settings, channels = raw.settings, raw.score_channels
    objectness = JOINT_HEADS.get(settings.head, False)
    if settings.head == "boxes":
        boxes, scores, first = _output(raw, "boxes", 4), _output(raw, "scores", channels), 0
    else:
        first = 4 + objectness
        boxes = scores = _output(raw, "boxes", first + channels)
    width, height = _factors(raw)
    activation = _ACTIVATIONS[settings.activation]
    return f"""\
constexpr lprc::BoxHead kHead = {{
    /*boxes=*/{boxes},
    /*scores=*/{scores},
    /*first_score=*/{first}, /*objectness=*/{4 if objectness else -1},
    /*classes=*/{len(settings.classes)}, /*score_channels=*/{channels},
    /*background_first=*/{str(settings.background == "first").lower()},
    lprc::Activation::{activation}, lprc::BoxFormat::{_FORMATS[settings.box_format or "corners"]},
    /*width=*/{width}, /*height=*/{height},
    /*candidates=*/{settings.candidates}, /*most_overlap=*/{settings.iou_threshold!r},
    /*limit=*/{limit}}};"""


def _finished(raw: Raw, limit: int) -> str:
    settings = raw.settings
    if len(raw.outputs) != 1 or "image" in settings.columns:
        raise DataError(
            "boxes, scores and labels come apart, or rows name their image",
            where=f"{raw.where}: [output]",
            hint="the parser reads one output of rows [N, K, 6]",
        )
    if settings.box_format not in (None, "corners"):
        raise DataError(
            f'is "{settings.box_format}", and found boxes are corners',
            where=f"{raw.where}: [output] box-format",
        )
    ((name, _),) = raw.outputs.items()
    columns = {column: settings.columns.index(column) for column in settings.columns}
    sides = ", ".join(str(columns[side]) for side in ("x1", "y1", "x2", "y2"))
    width, height = _factors(raw)
    return f"""\
constexpr lprc::FinishedRows kHead = {{
    /*rows=*/{{{quoted(name)}, {len(columns)}, true}},
    /*sides=*/{{{sides}}}, /*score=*/{columns["score"]}, /*label=*/{columns["class"]},
    /*first_label=*/{int(settings.background == "first")}, /*classes=*/{len(settings.classes)},
    /*width=*/{width}, /*height=*/{height},
    /*limit=*/{limit}}};"""


def _output(raw: Raw, key: str, channels: int) -> str:
    """An output as the parser's ``RowsOutput``: the one that the task names, else by its shape."""
    names = getattr(raw.settings, key)
    if not names:
        names = tuple(told_by_shape(raw.unnamed(), key, channels))
    if len(names) != 1 or names[0] not in raw.outputs:
        raise DataError(
            f"{len(names) or 'no'} outputs may be {key} [K, {channels}]",
            where=f"{raw.where}: [output] {key}",
            hint=f"name one of {', '.join(raw.outputs)}; raw maps of several levels have no parser",
        )
    shape = raw.outputs[names[0]].shape[1:]
    if len(shape) > 2 or (channels not in shape and channels != 1):
        raise raw.wrong(f"output '{names[0]}' is no table of {channels} channels")
    is_last = len(shape) == 1 or shape[1] == channels
    return f"{{{quoted(names[0])}, {channels}, {str(is_last).lower()}}}"


def _factors(raw: Raw) -> tuple[str, str]:
    width, height = raw.size if raw.settings.normalized else (1, 1)
    return _number(width), _number(height)


def _number(value: float) -> str:
    return f"{float(value)!r}F"


def _require(
    stage: Stage, name: str, kind: ir.DataType | None, allowed: tuple[ir.DataType, ...]
) -> None:
    if kind not in allowed:
        names = " or ".join(item.name for item in allowed)
        raise DataError(
            f"output '{name}' is {kind.name if kind else 'of no type'}, and the parser reads "
            f"{names}",
            where=stage.where,
        )


def quoted(text: str) -> str:
    """A text as a C string in UTF-8; control characters as octal escapes."""
    signs = (
        f"\\{ord(sign):03o}" if ord(sign) < 32 else f"\\{sign}" if sign in '"\\' else sign
        for sign in text
    )
    return f'"{"".join(signs)}"'


def check_identifiers(stages: list[Stage]) -> None:
    """Refuse models whose names differ for us and not for C.

    Raises:
        DataError: Two have one identifier.
    """
    seen: dict[str, Stage] = {}
    for stage in stages:
        other = seen.setdefault(stage.identifier, stage)
        if other is not stage:
            raise DataError(
                f"'{other.name}' and '{stage.name}' would have parsers of one name",
                where=stage.where,
                hint="rename one of them",
            )
