"""ExecuTorch: a program for XNNPACK on phones and small boards."""

from __future__ import annotations

from lprc.core.targets.emitter import EmitJob, Emitted
from lprc.core.targets.target import Target
from lprc.targets.torch_process import build

EXECUTORCH_FP32 = Target.from_resource("lprc.targets", "executorch-fp32.toml")

_MODULE = "lprc.targets.torch_backend.build_executorch"


def emit(job: EmitJob) -> Emitted:
    """Write ``model.pte``, and ``interface.json`` with its names beside it."""
    file = job.folder / "model.pte"
    report = build(job, "ExecuTorch", _MODULE, file)
    return Emitted([file, job.folder / "interface.json"], report)
