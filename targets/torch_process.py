"""Hand a lowered graph to one of torch's compilers, in a process that may crash."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from lprc.core.process.cxx_compiler import cxx_compiler
from lprc.core.process.exchange import ask
from lprc.core.targets.emitter import INSTEAD, EmitJob
from lprc.targets.torch_options import AotiOptions, ExecuTorchOptions, TorchScriptOptions

_EXAMPLES = "lprc.targets.torch_examples"


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
        sample = job.inputs[0]
        np.savez(scratch / "sample.npz", *(np.asarray(array) for array in sample.values()))
        request = {
            "model": str(job.lowered),
            "file": str(file),
            "options": asdict(options),
            "sample": str(scratch / "sample.npz"),
            "inputs": list(sample),
        }
        return ask(
            vendor,
            module,
            request,
            scratch,
            source=job.source,
            time_limit=options.time_limit,
            instead=INSTEAD,
            environment=_environment(scratch),
        )


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
