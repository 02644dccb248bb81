"""The most memory that this process held, as Linux counts it.

tracemalloc would see Python's and numpy's memory only, and makes passes several times slower.
"""

from __future__ import annotations

import re
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def reset() -> bool:
    """Let the high-water mark begin at what is held now; False where the system has none."""
    try:
        _RESET.write_text("5", encoding="ascii")  # as of proc(5)
    except OSError:
        return False
    return peak_bytes() is not None


def peak_bytes() -> int | None:
    """The high-water mark of the process's resident memory; None where the system has none."""
    try:
        found = _HIGH_WATER.search(_STATUS.read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None
    return None if found is None else int(found[1]) * 1024
