"""What results depend on besides inputs and options: lprc itself, libraries, the machine."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lprc._version
from lprc.compiler.cache.store import SCHEMA, Store
from lprc.core.files.digest import document_sha256
from lprc.core.process.cpu_facts import cpu_flags, cpu_name
from lprc.core.process.installed import installed_versions
from lprc.core.targets.runtimes import usable_runtimes

LIBRARIES = (
    "numpy",
    "onnx",
    "onnx-graphsurgeon",
    "onnx-ir",
    "onnxoptimizer",
    "onnxruntime",
    "onnxsim",
    "pillow",
    "protobuf",
)
"""What passes compute with, and what reads the images they are given."""

DRIVERS = ("cuda-bindings",)
"""What runtimes compute with besides their own packages."""

_SOURCES = frozenset({".py", ".toml", ".cpp", ".h", ".cu"})


def surroundings(store: Store | None, *, sdks: bool) -> dict[str, Any]:
    """What to put into a key, as JSON data.

    Args:
        store: Remembers the digest of lprc's sources; may be None.
        sdks: Whether results depend on SDKs and the GPU too.
    """
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "lprc": sources_digest(store),
        "libraries": installed_versions(LIBRARIES),
        "machine": machine(),
        "plugins": plugins(),
    }
    if sdks:
        facts |= {"sdks": installed_versions(_sdks()), "gpus": gpus(), "cores": os.cpu_count()}
    return facts


def _sdks() -> list[str]:
    """The packages that emitters translate with and that run the result."""
    packages = [name for runtime in usable_runtimes() for name in runtime.packages]
    return [*packages, *DRIVERS]


def sources_digest(store: Store | None) -> str:
    """The SHA-256 of lprc's own files: its version alone does not change while it is written."""
    root = Path(lprc._version.__file__).parent
    files = sorted(_sources(root))
    status = [(name, _signature(path)) for name, path in files]
    key = document_sha256([str(root), status])
    entry = store.read("sources", key) if store is not None else None
    if entry is not None:
        return str(entry.header["digest"])
    digest = hashlib.sha256()
    for name, path in files:
        data = path.read_bytes()
        digest.update(f"{name} {len(data)}\n".encode())
        digest.update(data)
    if store is not None:
        store.write("sources", key, {"digest": digest.hexdigest()})
    return digest.hexdigest()


def plugins() -> list[list[Any]]:
    """Other people's passes, targets and runtimes: where each is, its version, its files.

    A version alone does not change while a plug-in is written, or installed as editable.
    """
    groups = ("lprc.passes", "lprc.targets", "lprc.runtimes")
    points = [point for group in groups for point in entry_points(group=group)]
    rows = []
    for point in points:
        top = point.module.partition(".")[0]
        said = (point.dist.name, point.dist.version) if point.dist is not None else ("", "")
        rows.append([point.group, point.name, point.value, *said, _module_status(top)])
    return sorted(rows, key=str)


def _module_status(name: str) -> list[Any]:
    spec = find_spec(name)
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [_signature(Path(spec.origin))] if spec.origin else []
    return [
        [name, _signature(path)]
        for root in spec.submodule_search_locations
        for name, path in sorted(_sources(Path(root)))
    ]


@cache
def machine() -> list[str]:
    """What floating-point results and generated code depend on."""
    return [
        platform.system(),
        platform.machine(),
        f"python {sys.version_info.major}.{sys.version_info.minor}",
        _processor(),
    ]


@cache
def gpus() -> list[str]:
    """NVIDIA's driver and GPUs, as the kernel lists them."""
    root = Path("/proc/driver/nvidia")
    lines = _lines(root / "version")[:1]
    for file in sorted(root.glob("gpus/*/information")):
        lines += [line for line in _lines(file) if line.startswith("Model")]
    return lines


def _sources(root: Path) -> Iterator[tuple[str, Path]]:
    # In a checkout, three of the folders are links.
    for folder, inner, files in os.walk(root, followlinks=True):
        inner[:] = [name for name in inner if name != "__pycache__"]
        for name in files:
            path = Path(folder, name)
            if path.suffix in _SOURCES:
                yield path.relative_to(root).as_posix(), path


def _signature(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _processor() -> str:
    return "; ".join([cpu_name(), *sorted(cpu_flags())])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
