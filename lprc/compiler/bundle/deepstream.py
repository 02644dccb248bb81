"""A pipeline as configurations, parsers and programs for NVIDIA DeepStream."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from lprc.compiler.bundle.compiled import Family
from lprc.compiler.bundle.nvinfer_config import (
    class_numbers,
    margin,
    most_boxes,
    notes,
    nvinfer_config,
)
from lprc.compiler.bundle.parser_sources import check_identifiers, is_detector, parser_source
from lprc.compiler.bundle.stages import Stage
from lprc.compiler.bundle.templates import packaged, rendered

FAMILY = Family(
    name="tensorrt",
    usual="fp16",
    emit="kit",
    postprocessing=False,
    options=lambda batch: {"batch": (f"1/{batch}/{batch}",)},
)

LEAST_DEEPSTREAM, LEAST_TENSORRT = "7.1", "10.0"
"""DeepStream 7.1 is the first with TensorRT 10, whose trtexec has --stronglyTyped."""

_AS_THEY_ARE = (
    "CMakeLists.txt",
    "app/json_lines.hpp",
    "app/main.cpp",
    "parser/box_heads.hpp",
    "parser/ctc_text.hpp",
    "parser/finished_boxes.hpp",
    "parser/layers.hpp",
    "parser/suppression.hpp",
)
_TEMPLATES = ("README.md", "build_engines.sh", "check_versions.sh", "launch.sh", "app/pipeline.hpp")


def files(stages: Sequence[Stage], streams: int, frame: tuple[int, int]) -> Mapping[str, str]:
    """The texts of a bundle by their paths in it.

    Args:
        stages: The compiled models in the order in which they run.
        streams: How many videos run at once.
        frame: Width and height that frames are brought to.

    Raises:
        DataError: nvinfer, or the parser library, can't do what the pipeline says.
    """
    check_identifiers([*stages])
    texts = {path: packaged(f"deepstream_files/{path}") for path in _AS_THEY_ARE}
    values = _values(stages, streams, frame)
    for path in _TEMPLATES:
        texts[path] = rendered(f"deepstream_files/{path}.j2", **values)
    for stage in stages:
        texts[f"config/{stage.name}.txt"] = _config_text(stage, stages)
        if is_detector(stage):
            labels = stage.task.settings.output.classes  # type: ignore[attr-defined]
            texts[f"config/labels_{stage.name}.txt"] = "".join(f"{name}\n" for name in labels)
        widening = margin(stage) if is_detector(stage) else (0.0, 0.0)
        limit = most_boxes(stage) if is_detector(stage) else 0
        texts[f"parser/{stage.identifier}.cpp"] = parser_source(stage, widening, limit)
    return texts


def _config_text(stage: Stage, stages: Sequence[Stage]) -> str:
    groups = nvinfer_config(stage)
    if stage.source is not None:
        groups["property"] |= class_numbers(stage, stages[stage.source - 1])
    lines = [
        f"# nvinfer: '{stage.name}' as lprc's task '{stage.task_name}' has it.",
        "# There is no onnx-file: nvinfer would build an engine by itself where there is none, and",
        "# not a strongly typed one. build_engines.sh builds model-engine-file.",
    ]
    for group, values in groups.items():
        lines += [f"[{group}]", *(f"{key}={value}" for key, value in values.items()), ""]
    return "\n".join(lines)


def _values(stages: Sequence[Stage], streams: int, frame: tuple[int, int]) -> Mapping[str, Any]:
    return {
        "stages": [
            {
                "name": stage.name,
                "number": stage.number,
                "target": stage.target.name,
                "task": stage.task_name,
                "kind": stage.task.kind,
                "detects": is_detector(stage),
                "reads": stages[stage.source - 1].name if stage.source else "",
                "batch": stage.batch,
                "margin": margin(stage) if is_detector(stage) else (0.0, 0.0),
                "trtexec": " ".join(map(shlex.quote, trtexec(stage))),
            }
            for stage in stages
        ],
        "streams": streams,
        "width": frame[0],
        "height": frame[1],
        "notes": [line for stage in stages for line in notes(stage)],
        "least_deepstream": LEAST_DEEPSTREAM,
        "least_tensorrt": LEAST_TENSORRT,
    }


def trtexec(stage: Stage) -> list[str]:
    """The vendor's command that builds its engine, run in its folder."""
    name = stage.interface.image_input
    shape = stage.interface.inputs[name]
    command = [
        "trtexec",
        f"--onnx={stage.lowered.name}",
        "--saveEngine=model.engine",
        "--stronglyTyped",
        "--profilingVerbosity=detailed",
        "--skipInference",
    ]
    if shape[0] is None:
        sizes = "x".join(map(str, shape[1:]))
        for key, batch in (("min", 1), ("opt", stage.batch), ("max", stage.batch)):
            command.append(f"--{key}Shapes={name}:{batch}x{sizes}")
    if "sparse" in stage.target.name:
        command.append("--sparsity=enable")
    return command
