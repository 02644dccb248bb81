"""The keys of DL Streamer's model-proc files that bundles use, with their types.

After the page "Model-proc File" of the Deep Learning Streamer documentation (schema 2.2.0), and
for ``aspect-ratio-pad`` and ``yolo_v10`` after its sources (``opencv_pre_proc.cpp`` and
``yolo_v10.cpp``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lprc.core.files.checked import Strict

Channels = Annotated[list[float], Field(min_length=1, max_length=3)]


class Padding(Strict):
    """What stands around a picture that does not fill the input."""

    stride_x: int
    stride_y: int
    fill_value: Channels


class Params(Strict):
    """How a picture becomes the input."""

    resize: Literal["no-aspect-ratio", "aspect-ratio", "aspect-ratio-pad"]
    color_space: Literal["RGB", "BGR", "GRAYSCALE"]
    mean: Channels
    std: Channels
    padding: Padding | None = None


class InputLayer(Strict):
    """One input."""

    layer_name: str
    precision: Literal["FP32"]
    format: Literal["image"]
    params: Params


class OutputLayer(Strict):
    """One output, and what makes regions or texts of it."""

    layer_name: str
    converter: Literal["yolo_v10", "label"]
    labels: list[str]
    attribute_name: str | None = None
    method: Literal["index"] | None = None
    confidence_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class ModelProc(Strict):
    """The whole file."""

    json_schema_version: Literal["2.2.0"]
    input_preproc: list[InputLayer]
    output_postproc: list[OutputLayer]
