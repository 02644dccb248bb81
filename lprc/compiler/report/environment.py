"""What the report was made with."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def environment(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values: this machine, Python, lprc and the tools of the manifest."""
    tools = manifest.get("tools") or {}
    return [
        ("lprc", str(manifest.get("lprc", ""))),
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("processor", _processor()),
        ("cores", str(os.cpu_count() or "")),
        *((str(name), str(version)) for name, version in tools.items()),
    ]


def _processor() -> str:
    """The processor's name; Python knows it on few systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
