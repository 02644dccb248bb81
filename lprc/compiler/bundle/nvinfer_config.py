"""nvinfer's configuration of one model, from its task's settings and the edges around it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lprc.compiler.bundle.nvinfer_keys import faults
from lprc.compiler.bundle.parser_sources import is_detector, parser_function
from lprc.compiler.bundle.stages import Stage, common, edge_classes, least_score
from lprc.core.errors import DataError
from lprc.core.tasks.image_input import ImageInput

LIBRARY = "../build/liblprc_parsers.so"

_COLORS = {"RGB": 0, "BGR": 1, "GRAY": 2}
_MODES = {"fp32": 0, "int8": 1, "int8-fp16": 1, "fp16": 2}
_FILTERS = {"nearest": 0, "bilinear": 1}
_PADDING = {"stretch": (0, 0), "letterbox-corner": (1, 0), "letterbox": (1, 1)}
"""maintain-aspect-ratio and symmetric-padding."""

Groups = dict[str, dict[str, str]]


def nvinfer_config(stage: Stage) -> Groups:
    """Its groups and keys, in the file's order.

    Raises:
        DataError: nvinfer can't do what the task or an edge says; it names the key.
    """
    properties = {**_engine(stage), **_image(stage), **_input_objects(stage)}
    groups: Groups = {"property": properties}
    if is_detector(stage):
        properties |= _detector(stage)
        groups["class-attrs-all"] = {
            "pre-cluster-threshold": f"{least_score(stage, 'nvinfer'):g}",
            "topk": str(most_boxes(stage)),
        }
    else:
        properties |= _reader(stage)
    wrong = faults(groups)
    if wrong:
        raise DataError(f"makes no configuration of nvinfer: {wrong[0]}", where=stage.where)
    return groups


def notes(stage: Stage) -> list[str]:
    """What nvinfer does in another way than lprc, one line each."""
    image = stage.task.input
    lines = []
    if image.resize != "stretch" and image.border != 0:
        lines.append(
            f"{stage.name}: nvinfer's borders are black, and the task's are {image.border}"
        )
    if image.interpolation == "bilinear":
        lines.append(
            f"{stage.name}: nvinfer's bilinear scaling takes four pixels, and lprc's all that a "
            "pixel covers; large reductions differ"
        )
    return lines


def most_boxes(stage: Stage) -> int:
    """How many boxes of a frame a detector gives."""
    most = int(stage.task.settings.output.max_detections)  # type: ignore[attr-defined]
    if not stage.onward:
        return most
    wanted = common([edge.top_k for edge in stage.onward], "top-k", stage, "nvinfer")
    return min(most, int(wanted))


def margin(stage: Stage) -> tuple[float, float]:
    """What a detector's boxes are widened by for the models behind it."""
    if not stage.onward:
        return (0.0, 0.0)
    margins: tuple[float, float] = common(
        [edge.margin for edge in stage.onward], "margin", stage, "nvinfer"
    )
    return margins


def _engine(stage: Stage) -> Mapping[str, str]:
    _, _, precision = stage.target.name.rpartition("tensorrt-")
    mode = _MODES[precision.removeprefix("sparse-")]
    return {
        "gpu-id": "0",
        "gie-unique-id": str(stage.number),
        "process-mode": "1" if stage.edge is None else "2",
        "network-type": "0" if is_detector(stage) else "1",
        "model-engine-file": f"../models/{stage.name}/model.engine",
        "network-mode": str(mode),
        "batch-size": str(stage.batch),
        "interval": "0",
    }


def _image(stage: Stage) -> Mapping[str, str]:
    image = stage.task.input
    _refuse_other_images(stage, image)
    width, height = image.size
    aspect, symmetric = _PADDING[image.resize]
    return {
        "infer-dims": f"{image.channels};{height};{width}",
        "network-input-order": "0" if image.layout == "NCHW" else "1",
        "model-color-format": str(_COLORS[image.color]),
        "net-scale-factor": repr(image.scale[0]),
        "offsets": ";".join(map(repr, _per_channel(image.mean, image.channels))),
        "maintain-aspect-ratio": str(aspect),
        "symmetric-padding": str(symmetric),
        "scaling-filter": str(_FILTERS[image.interpolation]),
    }


def _refuse_other_images(stage: Stage, image: ImageInput) -> None:
    """Refuse pictures that nvinfer can't make."""
    if image.dtype != "float32":
        raise DataError(
            f"takes {image.dtype}, and nvinfer feeds float32",
            where=stage.where,
            hint="name the ONNX file: the bundle compiles it without its preprocessing inside",
        )
    if len(set(image.scale)) > 1:
        raise DataError(
            "has a scale for each channel, and nvinfer has one net-scale-factor",
            where=f"{stage.where}: [input] scale",
            hint=f"embed it: `lprc opt {_embedding(image)}`, and a task file with "
            "mean = 0 and scale = 1",
        )
    if image.scale[0] < 0:
        raise DataError(
            "is negative, and net-scale-factor can't be", where=f"{stage.where}: [input] scale"
        )
    if image.resize not in _PADDING:
        raise DataError(
            f"is \"{image.resize}\", and nvinfer can't cut pictures to the input's shape",
            where=f"{stage.where}: [input] resize",
            hint=f"one of {', '.join(_PADDING)}",
        )
    if image.interpolation not in _FILTERS:
        raise DataError(
            f'is "{image.interpolation}", which nvinfer\'s scaling-filter means differently on '
            "each device",
            where=f"{stage.where}: [input] interpolation",
            hint=f"one of {', '.join(_FILTERS)}",
        )


def _embedding(image: ImageInput) -> str:
    mean, scale = (",".join(map(repr, values)) for values in (image.mean, image.scale))
    return (
        f'--passes "embed-preprocessing{{mean={mean},scale={scale},color={image.color},'
        f'source={image.color},layout={image.layout},network={image.layout},dtype=float32}}"'
    )


def _per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values * channels if len(values) == 1 else values


def _input_objects(stage: Stage) -> Mapping[str, str]:
    """Which objects of the model in front are read."""
    edge = stage.edge
    if edge is None:
        return {}
    if edge.rectify != "none":
        raise DataError(
            f'is "{edge.rectify}", and nvinfer cuts out upright boxes',
            where=f"{stage.where}: rectify of the edge from '{edge.source}'",
            hint='rectify = "none"',
        )
    keys = {"operate-on-gie-id": str(stage.source)}
    # The parser has widened the boxes by the margin.
    for side, least, share in zip(("width", "height"), edge.min_size, edge.margin, strict=True):
        keys[f"input-object-min-{side}"] = str(math.ceil(least * (1 + 2 * share)))
    keys["secondary-reinfer-interval"] = "0"
    return keys


def class_numbers(stage: Stage, parent: Stage) -> Mapping[str, str]:
    """``operate-on-class-ids`` where the edge names classes of the model in front.

    Raises:
        DataError: There is no such class.
    """
    wanted = edge_classes(stage, parent)
    if not wanted:
        return {}
    names = list(parent.task.settings.output.classes)  # type: ignore[attr-defined]
    return {"operate-on-class-ids": ";".join(str(names.index(name)) for name in wanted)}


def _detector(stage: Stage) -> Mapping[str, str]:
    classes = stage.task.settings.output.classes  # type: ignore[attr-defined]
    return {
        "num-detected-classes": str(len(classes)),
        "labelfile-path": f"labels_{stage.name}.txt",
        "cluster-mode": "4",  # the parser, or the graph, has suppressed what overlaps
        "output-tensor-meta": "0",
        "custom-lib-path": LIBRARY,
        "parse-bbox-func-name": parser_function(stage),
    }


def _reader(stage: Stage) -> Mapping[str, str]:
    return {
        "classifier-type": stage.name,
        "classifier-threshold": "0.0",
        "classifier-async-mode": "0",
        "output-tensor-meta": "0",
        "custom-lib-path": LIBRARY,
        "parse-classifier-func-name": parser_function(stage),
    }
