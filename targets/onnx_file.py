"""The lowered ONNX file as the artefact: plain, and for ONNX Runtime."""

from __future__ import annotations

import shutil
from pathlib import Path

from lprc.core.target import Target

ONNX = Target.from_resource("lprc.targets", "onnx.toml")
ONNX_QDQ = Target.from_resource("lprc.targets", "onnx-qdq.toml")
ORT_FP32 = Target.from_resource("lprc.targets", "ort-fp32.toml")
ORT_INT8 = Target.from_resource("lprc.targets", "ort-int8.toml")


def emit(lowered: Path, folder: Path) -> list[Path]:
    """Copy `lowered` to ``model.onnx`` in `folder`, weights beside it too."""
    model = folder / "model.onnx"
    shutil.copyfile(lowered, model)
    return [model]
