"""TensorRT: TensorRT-RTX, and TensorRT 10 and 11, always strongly typed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from lprc.core.errors import IllegalForTargetError
from lprc.core.targets.emitter import EmitJob, Emitted
from lprc.core.targets.target import Target
from lprc.targets import tensorrt_kit, tensorrt_precision, tensorrt_process
from lprc.targets.tensorrt_options import TensorRTOptions
from lprc.targets.tensorrt_profiles import profiles
from lprc.targets.tensorrt_samples import fitting

TENSORRT_FP32 = Target.from_resource("lprc.targets", "tensorrt-fp32.toml")
TENSORRT_FP16 = Target.from_resource("lprc.targets", "tensorrt-fp16.toml")
TENSORRT_INT8 = Target.from_resource("lprc.targets", "tensorrt-int8.toml")
TENSORRT_INT8_FP16 = Target.from_resource("lprc.targets", "tensorrt-int8-fp16.toml")
TENSORRT_SPARSE_FP16 = Target.from_resource("lprc.targets", "tensorrt-sparse-fp16.toml")
TENSORRT_SPARSE_INT8 = Target.from_resource("lprc.targets", "tensorrt-sparse-int8.toml")

ENGINE = "model.engine"
LAYERS = "layers.json"


def emit_engine(job: EmitJob) -> Emitted:
    """Build ``model.engine``, and write what it is made of to ``layers.json``."""
    return _emit_engine(job, sparse=False)


def emit_sparse_engine(job: EmitJob) -> Emitted:
    """The same, with sparse tensor cores for weights that are 2:4 sparse."""
    return _emit_engine(job, sparse=True)


def emit_kit(job: EmitJob) -> Emitted:
    """Write what builds the engine on the device, without any SDK here."""
    return tensorrt_kit.write(job, _settings(job, sparse=False))


def emit_sparse_kit(job: EmitJob) -> Emitted:
    """The same, with sparse tensor cores for weights that are 2:4 sparse."""
    return tensorrt_kit.write(job, _settings(job, sparse=True))


def _options(job: EmitJob) -> TensorRTOptions:
    assert isinstance(job.options, TensorRTOptions)  # as the targets' TOML says
    return job.options


def _settings(job: EmitJob, *, sparse: bool) -> dict[str, Any]:
    """The settings that `tensorrt_scripts.build_engine` reads."""
    options = _options(job)
    return {
        "model": job.lowered.name,
        "engine": ENGINE,
        "layers": LAYERS,
        "runtime": options.runtime,
        "compute_capabilities": options.compute_capabilities,
        "profiles": profiles(job.model, options, job.inputs),
        "workspace_mib": options.workspace,
        "sparse": sparse,
        "verbosity": options.verbosity,
    }


def _emit_engine(job: EmitJob, *, sparse: bool) -> Emitted:
    options = _options(job)
    settings = _settings(job, sparse=sparse)
    with tempfile.TemporaryDirectory(prefix="lprc-") as scratch:
        built = tensorrt_process.build(
            job.model,
            settings,
            job.folder,
            Path(scratch),
            where=job.source,
            time_limit=options.time_limit,
            progress=job.progress,
        )
    precisions = tensorrt_precision.precisions(job.model, built["layers"], job.skips)
    warnings = [f"TensorRT: {text}" for text in built["warnings"]]
    for complaint, hint in _unmet(precisions, built, sparse=sparse):
        if options.unmet == "fail":
            raise IllegalForTargetError(
                complaint, where=f"target '{job.target}'", hint=f"{hint}, or -O unmet=warn"
            )
        warnings.append(complaint)
    report: dict[str, Any] = {
        "runtime": built["runtime"],
        "version": built["version"],
        "compute_capabilities": options.compute_capabilities or ["auto"],
        "profiles": {
            name: list(map(list, shapes)) for name, shapes in settings["profiles"].items()
        },
        "layers": len(built["layers"]),
        "sparse": built["sparse"],
        **{key: built[key] for key in ("weights_bytes", "activation_bytes") if key in built},
        **tensorrt_precision.document(precisions),
    }
    inputs = fitting(job.model, job.inputs, settings["profiles"])
    return Emitted([job.folder / ENGINE], report, warnings, inputs=inputs)


def _unmet(
    precisions: list[tensorrt_precision.Precision], built: dict[str, Any], *, sparse: bool
) -> list[tuple[str, str]]:
    """The graph's requests that the engine does not meet, each with what to do about it."""
    complaints = []
    missed = tensorrt_precision.unmet(precisions)
    if missed:
        more = f" (and {len(missed) - 1} more)" if len(missed) > 1 else ""
        reads = ", ".join(missed[0].types) or "nothing that it names"
        complaint = f"{missed[0].place}: int8 in the graph, but the engine reads {reads}{more}"
        remedy = "build for a GPU with int8 kernels for it, or leave it out: insert-qdq{exclude=…}"
        complaints.append((complaint, remedy))
    if sparse and not built["sparse"]:
        complaints.append(
            (
                f"{built['runtime']} {built['version']} takes no advantage of sparse weights",
                "build with -O runtime=enterprise or --emit kit",
            )
        )
    return complaints
