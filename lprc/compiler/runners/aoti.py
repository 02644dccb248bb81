"""Run a package of AOTInductor's on the CPU that it was compiled for."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from lprc.compiler.runners.interface import Interface
from lprc.compiler.runners.torch_calls import TorchCalls, stored
from lprc.compiler.runners.vendor_errors import load_error
from lprc.core.errors import InvalidModelError
from lprc.core.process.cpu_facts import cpu_flags
from lprc.core.running.runner import OpenJob

_NEEDED = {
    "AVX2": ("avx2",),
    "AVX512": ("avx512f", "avx512dq", "avx512vl", "avx512bw"),
    "AVX512_VNNI": ("avx512_vnni",),
    "AMX_TILE": ("amx_tile",),
}
"""An instruction set as Inductor names it, and the flags of a CPU that has it."""


class AotiRunner(TorchCalls):
    """A ``.pt2`` file, which holds native code; an `lprc.core.running.runner.Runner`.

    Args:
        job: The file. torch counts its threads once a process.

    Raises:
        InvalidModelError: torch can't load it, lprc did not write it, or it is for another CPU.
    """

    def __init__(self, job: OpenJob) -> None:
        _check_cpu(job.path)
        import torch
        from torch._inductor import aoti_load_package

        if job.threads is not None:
            torch.set_num_threads(job.threads)
        try:
            # What is around the loader flattens arguments that are flat: 0.1 ms of Python a run.
            loader: Any = aoti_load_package(str(job.path)).loader
            metadata: dict[str, str] = loader.get_metadata()
        except Exception as error:  # torch raises what it likes
            raise load_error("AOTInductor", job.path, error) from error
        interface = stored(Interface, metadata.get("LPRC_INTERFACE"), job.path)
        super().__init__("AOTInductor", lambda *tensors: loader.boxed_run(list(tensors)), interface)


def _check_cpu(path: Path) -> None:
    """Refuse code that this CPU would die of.

    Raises:
        InvalidModelError: Not a package, or one for another kind of CPU.
    """
    try:
        with zipfile.ZipFile(path) as package:
            names = [name for name in package.namelist() if name.endswith("wrapper_metadata.json")]
            metadata = json.loads(package.read(names[0]))
            wanted = str(metadata["AOTI_CPU_ISA"]).split()
    except (OSError, zipfile.BadZipFile, IndexError, KeyError, ValueError, TypeError) as error:
        raise load_error("AOTInductor", path, error) from error
    flags = cpu_flags()
    if not flags:
        return
    missing = [name for name in wanted if not flags.issuperset(_NEEDED.get(name, (name,)))]
    if missing:
        raise InvalidModelError(
            f"it is compiled for a CPU with {' and '.join(missing)}, which this one has not",
            where=str(path),
            hint="compile it on such a machine",
        )
