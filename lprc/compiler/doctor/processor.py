"""The processor: what it is, what it can, and how it is clocked."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.core.process.cpu_facts import cpu_facts, cpu_flags

FEATURES = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni",
    "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16",
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip
"""What kernels of the runtimes are chosen by, as Linux calls it; x86 first, then Arm."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TVM_NUM_THREADS")
"""What limits the threads of runtimes and of NumPy."""


@dataclass(frozen=True)
class Processor:
    """The processor as this process has it.

    Attributes:
        architecture: For instance ``x86_64``.
        model: Its name; empty where the system does not say.
        cores: Those of the machine.
        usable_cores: Those that this process may run on.
        features: The ones of `FEATURES` that it has.
        governors: How its clock is governed, each setting once; empty where that can't be read, as
            in virtual machines.
        turbo: Whether it may clock higher for a while; None where that can't be read.
        load: The mean number of processes that wanted to run in the last minute.
        thread_variables: What is set of `THREAD_VARIABLES`.
    """

    architecture: str
    model: str
    cores: int
    usable_cores: int
    features: tuple[str, ...]
    governors: tuple[str, ...]
    turbo: bool | None
    load: float
    thread_variables: dict[str, str]

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            **vars(self),
            "features": list(self.features),
            "governors": list(self.governors),
            "thread_variables": dict(self.thread_variables),
        }


def processor(root: Path = Path("/")) -> Processor:
    """The processor of this machine.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    facts, flags = cpu_facts(root), cpu_flags(root)
    cores = os.cpu_count() or 1
    affinity = getattr(os, "sched_getaffinity", None)
    return Processor(
        architecture=platform.machine(),
        model=facts.get("model name", "") or facts.get("CPU part", ""),
        cores=cores,
        usable_cores=cores if affinity is None else len(affinity(0)),
        features=tuple(name for name in FEATURES if name in flags),
        governors=_governors(root / "sys/devices/system/cpu"),
        turbo=_turbo(root / "sys/devices/system/cpu"),
        load=os.getloadavg()[0],
        thread_variables={
            name: os.environ[name] for name in THREAD_VARIABLES if os.environ.get(name)
        },
    )


def _governors(folder: Path) -> tuple[str, ...]:
    files = sorted(folder.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    return tuple(sorted({text for file in files if (text := read_text(file).strip())}))


def _turbo(folder: Path) -> bool | None:
    """From Intel's driver, or that of all others."""
    forbidden = read_text(folder / "intel_pstate/no_turbo").strip()
    allowed = read_text(folder / "cpufreq/boost").strip()
    if forbidden:
        return forbidden == "0"
    return allowed == "1" if allowed else None


def read_text(path: Path) -> str:
    """What a file of the kernel's says; nothing where it is not there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
