"""TorchScript: a traced and frozen graph in one file."""

from __future__ import annotations

from lprc.core.targets.emitter import EmitJob, Emitted
from lprc.core.targets.target import Target
from lprc.targets.torch_process import build, write_examples

TORCHSCRIPT_FP32 = Target.from_resource("lprc.targets", "torchscript-fp32.toml")

_MODULE = "lprc.targets.torch_backend.build_torchscript"


def emit(job: EmitJob) -> Emitted:
    """Write ``model.pt``, and how to load it from C++."""
    file = job.folder / "model.pt"
    report = build(job, "torch", _MODULE, file)
    write_examples(job.folder, "CMakeLists.txt", "load_torchscript.cpp")
    return Emitted([file], report)
