"""AOTInductor: a graph compiled by torch into one package for this kind of CPU."""

from __future__ import annotations

from lprc.core.targets.emitter import EmitJob, Emitted
from lprc.core.targets.target import Target
from lprc.targets.torch_process import build, write_examples

AOTI_FP32 = Target.from_resource("lprc.targets", "aoti-fp32.toml")
AOTI_INT8 = Target.from_resource("lprc.targets", "aoti-int8.toml")

_MODULE = "lprc.targets.torch_backend.build_aoti"


def emit(job: EmitJob) -> Emitted:
    """Write ``model.pt2``, and how to load it from C++."""
    file = job.folder / "model.pt2"
    report = build(job, "AOTInductor", _MODULE, file)
    write_examples(job.folder, "CMakeLists.txt", "load_aoti.cpp")
    return Emitted([file], report, _warnings(job, report))


def _warnings(job: EmitJob, report: dict[str, dict[str, int]]) -> list[str]:
    kernels = report["kernels"]
    floats = [kind for kind in kernels if kind.startswith("float ")]
    if job.target != AOTI_INT8.name or not floats:
        return []
    listed = ", ".join(f"{kernels[kind]} {kind}s" for kind in floats)
    return [f"Inductor has no integer kernel for {listed}: they compute in float"]
