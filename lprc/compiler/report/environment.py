"""What the report was made with."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from lprc.core.process.cpu_facts import cpu_name


def environment(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values: this machine, Python, lprc and the tools of the manifest."""
    tools = manifest.get("tools") or {}
    return [
        ("lprc", str(manifest.get("lprc", ""))),
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("processor", cpu_name()),
        ("cores", str(os.cpu_count() or "")),
        *((str(name), str(version)) for name, version in tools.items()),
    ]
