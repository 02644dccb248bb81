"""What the container or session that we run in may use, from Linux's control groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lprc.compiler.doctor.processor import read_text
from lprc.core.process.machine_memory import machine_memory

_MOUNT = "sys/fs/cgroup"


@dataclass(frozen=True)
class Limits:
    """What may be used.

    Attributes:
        cores: How many cores' worth of time; None for all.
        memory_bytes: How much memory; None for all.
        machine_memory_bytes: How much the machine has.
    """

    cores: float | None
    memory_bytes: int | None
    machine_memory_bytes: int

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return dict(vars(self))


def limits(root: Path = Path("/")) -> Limits:
    """The limits of this process; the tightest of its own group and of all around it counts.

    Args:
        root: Where ``proc`` and ``sys`` are.
    """
    cores: list[float] = []
    memory: list[int] = []
    for folder in _groups(root):
        cores += _quota_v2(folder) + _quota_v1(folder)
        memory += [
            int(text)
            for name in ("memory.max", "memory.limit_in_bytes")
            if (text := read_text(folder / name).strip()).isdigit()
        ]
    there_is = machine_memory()
    least = min(memory, default=there_is)
    return Limits(min(cores, default=None), least if least < there_is else None, there_is)


def _groups(root: Path) -> Iterator[Path]:
    """The folders of the groups that this process is in, and of those around them."""
    for line in read_text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        mounts = [_MOUNT, f"{_MOUNT}/unified"]
        if number != "0":
            names = [controllers, *controllers.split(",")]
            mounts = [f"{_MOUNT}/{name}" for name in dict.fromkeys(names) if name]
        for mount in mounts:
            inside = PurePosixPath(path.lstrip("/"))
            for part in (inside, *inside.parents):
                yield root / mount / part


def _quota_v2(folder: Path) -> list[float]:
    quota, _, period = read_text(folder / "cpu.max").strip().partition(" ")
    return [int(quota) / int(period)] if quota.isdigit() and period.isdigit() else []


def _quota_v1(folder: Path) -> list[float]:
    quota = read_text(folder / "cpu.cfs_quota_us").strip()
    period = read_text(folder / "cpu.cfs_period_us").strip()
    return [int(quota) / int(period)] if quota.isdigit() and period.isdigit() else []
