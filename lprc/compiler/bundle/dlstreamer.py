"""A pipeline as model-proc files and a launch line for Intel's DL Streamer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lprc.compiler.bundle.compiled import Family
from lprc.compiler.bundle.dlstreamer_keys import ModelProc
from lprc.compiler.bundle.parser_sources import is_detector
from lprc.compiler.bundle.stages import Stage, common, edge_classes, least_score
from lprc.compiler.bundle.templates import packaged, rendered
from lprc.core.errors import DataError
from lprc.core.files.checked import checked
from lprc.core.tasks.image_input import ImageInput
from lprc.models.tasks.plates import Plates

FAMILY = Family(
    name="openvino",
    usual="fp32",
    emit="engine",
    postprocessing=True,
    options=lambda _: {},
)

LEAST_DLSTREAMER = "2025.0"
"""The first whose gvadetect reads rows of found boxes (converter yolo_v10)."""

_RESIZE = {
    "stretch": "no-aspect-ratio",
    "letterbox": "aspect-ratio",
    "letterbox-corner": "aspect-ratio-pad",
}
_COLORS = {"RGB": "RGB", "BGR": "BGR", "GRAY": "GRAYSCALE"}


def files(stages: Sequence[Stage], streams: int, frame: tuple[int, int]) -> Mapping[str, str]:
    """The texts of a bundle by their paths in it.

    Args:
        stages: The compiled models in the order in which they run.
        streams: How many videos run at once; DL Streamer has no use for it.
        frame: Width and height that frames are brought to.

    Raises:
        DataError: DL Streamer can't do what the pipeline says.
    """
    del streams
    texts = {"config/passed_on.py": packaged("dlstreamer_files/config/passed_on.py")}
    for stage in stages:
        document = model_proc(stage)
        texts[f"config/{stage.name}.json"] = json.dumps(document, indent=2, ensure_ascii=False)
        texts[f"config/{stage.name}.json"] += "\n"
    values = {
        "stages": [_values(stage, stages) for stage in stages],
        "elements": [element for stage in stages for element in _elements(stage, stages)],
        "width": frame[0],
        "height": frame[1],
        "notes": [line for stage in stages for line in notes(stage)],
        "least_dlstreamer": LEAST_DLSTREAMER,
    }
    for name in ("README.md", "launch.sh", "check_versions.sh"):
        texts[name] = rendered(f"dlstreamer_files/{name}.j2", **values)
    return texts


def notes(stage: Stage) -> list[str]:
    """What DL Streamer does in another way than lprc, one line each."""
    lines = []
    if stage.task.input.interpolation == "bilinear":
        lines.append(
            f"{stage.name}: DL Streamer's bilinear scaling takes four pixels, and lprc's all that "
            "a pixel covers; large reductions differ"
        )
    if not is_detector(stage):
        lines.append(
            f"{stage.name}: DL Streamer drops a text of the alphabet's first character alone, and "
            "tells no confidence"
        )
    return lines


def model_proc(stage: Stage) -> dict[str, Any]:
    """Its model-proc file as JSON data.

    Raises:
        DataError: DL Streamer can't do what the task says; it names the key.
    """
    ((output, shape),) = stage.output_shapes.items()
    document = {
        "json_schema_version": "2.2.0",
        "input_preproc": [_input(stage)],
        "output_postproc": [{"layer_name": output, **_converter(stage, output, shape)}],
    }
    checked(ModelProc, document, where=stage.where, error=DataError)
    return document


def _converter(stage: Stage, output: str, shape: tuple[int, ...]) -> dict[str, Any]:
    if isinstance(stage.task, Plates):
        return {
            "attribute_name": stage.name,
            "converter": "label",
            "method": "index",
            "labels": list(stage.task.alphabet),
        }
    is_detector(stage)
    if len(shape) != 2 or shape[1] != 6:
        raise DataError(
            f"output '{output}' is {list(shape)}, and gvadetect reads rows [K, 6] of found boxes",
            where=stage.where,
            hint="a head whose suppression can be embedded",
        )
    return {
        "converter": "yolo_v10",
        "confidence_threshold": least_score(stage, "DL Streamer"),
        "labels": list(stage.task.settings.output.classes),  # type: ignore[attr-defined]
    }


def _input(stage: Stage) -> dict[str, Any]:
    image = stage.task.input
    if image.dtype != "float32" or image.layout != "NCHW":
        raise DataError(
            f"takes {image.dtype} {image.layout}, and DL Streamer feeds float32 NCHW here",
            where=stage.where,
            hint="name the ONNX file: the bundle compiles it without its preprocessing inside",
        )
    if image.resize not in _RESIZE:
        raise DataError(
            f'is "{image.resize}", which DL Streamer does by other proportions',
            where=f"{stage.where}: [input] resize",
            hint=f"one of {', '.join(_RESIZE)}",
        )
    if image.interpolation != "bilinear":
        raise DataError(
            f'is "{image.interpolation}", and DL Streamer scales bilinearly',
            where=f"{stage.where}: [input] interpolation",
        )
    return {
        "layer_name": stage.interface.image_input,
        "precision": "FP32",
        "format": "image",
        "params": _params(image),
    }


def _params(image: ImageInput) -> dict[str, Any]:
    count = image.channels
    mean, scale = (
        values * count if len(values) == 1 else values for values in (image.mean, image.scale)
    )
    params: dict[str, Any] = {
        "resize": _RESIZE[image.resize],
        "color_space": _COLORS[image.color],
        "mean": list(mean),
        "std": [1 / value for value in scale],
    }
    if image.resize != "stretch":
        fill = [float(image.border)] * count
        params["padding"] = {"stride_x": 0, "stride_y": 0, "fill_value": fill}
    return params


def _values(stage: Stage, stages: Sequence[Stage]) -> Mapping[str, Any]:
    return {
        "name": stage.name,
        "number": stage.number,
        "task": stage.task_name,
        "kind": stage.task.kind,
        "target": stage.target.name,
        "reads": stages[stage.source - 1].name if stage.source else "",
    }


def _elements(stage: Stage, stages: Sequence[Stage]) -> list[str]:
    """The elements of the launch line that stand for a model."""
    element = "gvadetect" if is_detector(stage) else "gvaclassify"
    properties = {
        "name": stage.name,
        "model": f"models/{stage.name}/model.xml",
        "model-proc": f"config/{stage.name}.json",
        "device": "CPU",
        "pre-process-backend": "opencv",
    }
    if is_detector(stage):
        properties["threshold"] = f"{least_score(stage, 'DL Streamer'):g}"
    if stage.source is not None:
        properties["inference-region"] = "roi-list"
        properties |= _object_class(stage, stages[stage.source - 1])
    line = " ".join([element, *(f"{key}={value}" for key, value in properties.items())])
    return [line, *_passed_on(stage)]


def _object_class(stage: Stage, parent: Stage) -> Mapping[str, str]:
    """The class of the boxes that it reads."""
    assert stage.edge is not None
    if stage.edge.rectify != "none":
        raise DataError(
            f'is "{stage.edge.rectify}", and DL Streamer cuts out upright boxes',
            where=f"{stage.where}: rectify of the edge from '{parent.name}'",
            hint='rectify = "none"',
        )
    names = edge_classes(stage, parent)
    if not names or set(names) == set(parent.task.settings.output.classes):  # type: ignore[attr-defined]
        return {}
    if len(names) > 1:
        raise DataError(
            f"names {len(names)} of the classes, and gvaclassify reads one or all",
            where=f"{stage.where}: classes of the edge from '{parent.name}'",
        )
    return {"object-class": f'"{names[0]}"'}


def _passed_on(stage: Stage) -> list[str]:
    """What chooses and widens a detector's boxes for the models behind it."""
    if not stage.onward:
        return []
    settings = {
        "margin": list(
            common([edge.margin for edge in stage.onward], "margin", stage, "DL Streamer")
        ),
        "min_size": list(
            common([edge.min_size for edge in stage.onward], "min-size", stage, "DL Streamer")
        ),
        "top_k": common([edge.top_k for edge in stage.onward], "top-k", stage, "DL Streamer"),
    }
    text = json.dumps(settings, separators=(",", ":"))
    return [f"gvapython module=config/passed_on.py class=PassedOn kwarg='{text}'"]
