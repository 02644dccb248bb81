"""Hand a lowered graph to one of torch's compilers, in a process that may crash."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from lprc.core.process.cxx_compiler import cxx_compiler
from lprc.core.process.worker import WorkerError, run_worker
from lprc.core.targets.emitter import EmitJob
from lprc.targets.torch_options import AotiOptions, ExecuTorchOptions, TorchScriptOptions

_EXAMPLES = "lprc.targets.torch_examples"
INSTEAD = (
    "export that part in other operators, or choose a target that takes it: "
    "ort-fp32 and ort-int8 run all of ONNX"
)


def build(job: EmitJob, vendor: str, module: str, file: Path) -> dict[str, Any]:
    """Let `module` write `file`; its report.

    Args:
        job: What to translate.
        vendor: Whose code it is, for errors.
        module: Run with ``-m``; reads the request that is written here.
        file: Absolute.

    Raises:
        WorkerError: It failed, crashed or took too long.
    """
    options = job.options
    assert isinstance(
        options, TorchScriptOptions | AotiOptions | ExecuTorchOptions
    )  # as the targets' TOML says
    with tempfile.TemporaryDirectory(prefix="lprc-") as folder:
        scratch = Path(folder)
        request, answer, failure = (
            scratch / f"{name}.json" for name in ("request", "answer", "error")
        )
        sample = job.inputs[0]
        np.savez(scratch / "sample.npz", *(np.asarray(array) for array in sample.values()))
        settings = {
            "model": str(job.lowered),
            "file": str(file),
            "options": asdict(options),
            "sample": str(scratch / "sample.npz"),
            "inputs": list(sample),
        }
        request.write_text(json.dumps(settings), encoding="utf-8")
        done = run_worker(
            vendor,
            [module, str(request), "--report", str(answer), "--failure", str(failure)],
            where=job.source,
            time_limit=options.time_limit,
            complaint=failure,
            environment=_environment(scratch),
        )
        if not done:
            raise _error(json.loads(failure.read_text(encoding="utf-8")), job.source)
        report: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return report


def write_examples(folder: Path, *names: str) -> None:
    """Copy how to load an artefact beside it."""
    examples = resources.files(_EXAMPLES)
    for name in names:
        (folder / name).write_bytes(examples.joinpath(name).read_bytes())


def _environment(scratch: Path) -> dict[str, str]:
    """Inductor's caches go with the scratch folder, and a compiler is found if there is one."""
    compiler = cxx_compiler()
    found = {} if compiler is None else {"CXX": compiler}
    return {"TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor"), **found}


def _error(failure: dict[str, str], source: str) -> WorkerError:
    place = f" at {failure['where']}" if failure["where"] else ""
    return WorkerError(
        f"{failure['message']}{place}", where=source, hint=failure["hint"] or INSTEAD
    )
