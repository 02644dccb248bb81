"""The lowered ONNX file as the artefact: plain, and for ONNX Runtime."""

from __future__ import annotations

import shutil

from lprc.core.targets.emitter import EmitJob, Emitted
from lprc.core.targets.target import Target

ONNX = Target.from_resource("lprc.targets", "onnx.toml")
ONNX_QDQ = Target.from_resource("lprc.targets", "onnx-qdq.toml")
ORT_FP32 = Target.from_resource("lprc.targets", "ort-fp32.toml")
ORT_INT8 = Target.from_resource("lprc.targets", "ort-int8.toml")


def emit(job: EmitJob) -> Emitted:
    """Copy the lowered graph to ``model.onnx``."""
    model = job.folder / "model.onnx"
    shutil.copyfile(job.lowered, model)
    return Emitted([model])
