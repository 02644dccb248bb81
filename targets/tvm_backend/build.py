"""The process that turns a lowered ONNX file into a TVM module, as a file of settings says.

    python -m lprc.targets.tvm_backend.build request.json --report FILE --failure FILE

The importer is Relax's; convolutions, pools and what stands between them get lprc's own layout and
schedules (`packing`, `schedules`), the rest Relax's own operators.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import onnx
import tvm
import tvm_ffi
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from lprc.core.process.exchange import Failure, serve
from lprc.core.targets.emitter import INSTEAD
from lprc.targets.tvm_backend import database, packing, schedules, tuning
from lprc.targets.tvm_backend.failure import refusal
from lprc.targets.tvm_backend.interface import interface
from lprc.targets.tvm_backend.machine import Machine, find_target

PASSES = (
    "LegalizeOps", "FoldConstant", "RewriteDataflowReshape", "ToNonDataflow",
    "RemovePurityChecking", "CallTIRRewrite", "StaticPlanBlockMemory", "LowerAllocTensor",
    "KillAfterLastUse", "LowerRuntimeBuiltin", "ComputePrimValue", "VMShapeLower",
    "AttachGlobalSymbol",
)  # fmt: skip
"""Relax's passes behind packing and scheduling."""


def build(request: dict[str, Any]) -> dict[str, Any]:
    """Import, pack, tune, schedule, compile and export.

    Args:
        request: ``model``, ``folder``, the options of the target, and the names of what to write.

    Raises:
        Failure: The user can do something about it.
    """
    folder = Path(request["folder"])
    target = find_target(request)
    proto = onnx.load(request["model"])
    try:
        return _build(request, folder, target, proto)
    except (Failure, OSError):
        raise
    except Exception as error:  # TVM's passes raise what they like
        raise refusal(error, proto) from error


def _build(
    request: dict[str, Any], folder: Path, target: Any, proto: onnx.ModelProto
) -> dict[str, Any]:
    """The same, of what is read already."""
    machine = Machine.of_target(target)
    with target:
        module, plain = packing.pack(_imported(proto), machine)
        with database.open_records(request["databases"], request["database"]) as records:
            if request["tune"]["trials"]:
                _tune(module, target, request["tune"], records, folder)
            chosen = records.chosen(module, target)
        scheduled = schedules.schedule_module(module, machine.threads, chosen, machine)
        kernels = schedules.described(module, chosen, machine)
    files = _export(_compiled(scheduled, target), folder, crosses=request["crosses"])
    described = json.dumps(interface(proto, machine.threads), indent=1, ensure_ascii=False) + "\n"
    (folder / request["interface"]).write_text(described, encoding="utf-8")
    return {
        "version": tvm.__version__,
        "ffi": tvm_ffi.__version__,
        "target": str(target),
        "passes": list(PASSES),
        "files": files,
        "kernels": kernels,
        "plain": plain,
    }


def _tune(
    module: Any, target: Any, options: dict[str, Any], records: database.Records, folder: Path
) -> None:
    """Tune, and write what came of it to ``tuning.json``."""
    settings = tuning.TuningSettings(**options)
    report = tuning.tune(module, target, settings, records, _progress, _status)
    text = json.dumps(report.document(), indent=1) + "\n"
    (folder / "tuning.json").write_text(text, encoding="utf-8")


def _imported(proto: onnx.ModelProto) -> Any:
    try:
        return from_onnx(proto, keep_params_in_input=False)
    except Exception as error:  # the importer raises what it likes
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise Failure(f"TVM can't import it: {reason[-1][:300]}", hint=INSTEAD) from error


def _compiled(module: Any, target: Any) -> Any:
    passes = tvm.transform.Sequential([getattr(relax.transform, name)() for name in PASSES])
    return tvm.compile(module, target=target, relax_pipeline=passes)


def _export(executable: Any, folder: Path, *, crosses: bool) -> list[str]:
    """A shared library for this machine; the objects for another one."""
    if crosses:
        executable.export_library(str(folder / "model.tar"))
        return ["model.tar"]
    executable.export_library(str(folder / "model.so"))
    return ["model.so"]


def _progress(done: float, total: int) -> None:
    print(json.dumps({"step": done, "steps": total}), flush=True)


def _status(status: dict[str, Any]) -> None:
    """The state of the tuning, on one line of a terminal."""
    if not sys.stderr.isatty():
        return
    slowest = max(status["best"].items(), key=lambda item: item[1], default=("", 0.0))
    left = status["seconds_left"]
    text = (
        f"{status['trials']} of {status['of']} trials, {status['latency'] * 1e3:.3f} ms in all, "
        f"slowest {slowest[0]} {slowest[1] * 1e6:.0f} us"
        f"{'' if left is None else f', {left:.0f} s left'}"
    )
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(serve("Build a TVM module from a lowered ONNX file.", build))
