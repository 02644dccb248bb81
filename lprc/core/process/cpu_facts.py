"""What the kernel says of the processor."""

from __future__ import annotations

import platform
from pathlib import Path

_FIRST_CORE = 16384
"""Bytes that hold what is said of the first core; hundreds may follow."""


def cpu_facts(root: Path = Path("/")) -> dict[str, str]:
    """What ``/proc/cpuinfo`` says of the first core, by its names; empty where there is none.

    Args:
        root: Where ``proc`` is.
    """
    try:
        with (root / "proc/cpuinfo").open(encoding="utf-8", errors="replace") as stream:
            first = stream.read(_FIRST_CORE).split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def cpu_flags(root: Path = Path("/")) -> frozenset[str]:
    """The instructions that the processor has beyond the oldest, as the kernel names them."""
    facts = cpu_facts(root)
    return frozenset({*facts.get("flags", "").split(), *facts.get("Features", "").split()})


def cpu_name() -> str:
    """The processor's name; what Python knows, which is little, where the kernel says none."""
    return cpu_facts().get("model name") or platform.processor()
