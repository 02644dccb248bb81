"""Where the cache is, how large it may be, and whether there is one."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from lprc.compiler.cache.store import Store
from lprc.core.errors import UsageError

FOLDER = "LPRC_CACHE_DIR"
SIZE = "LPRC_CACHE_SIZE"
OFF = "LPRC_NO_CACHE"

DEFAULT_SIZE = 1 << 30

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]i?)?B?", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


def open_store() -> Store:
    """The user's cache, whether it is switched off or not.

    Raises:
        UsageError: ``LPRC_CACHE_SIZE`` is no size.
    """
    return Store(cache_folder(), cache_size())


def store_in_use(*, off: bool = False) -> Store | None:
    """The cache; None where ``--no-cache`` (`off`) or ``LPRC_NO_CACHE`` switches it off.

    Raises:
        UsageError: ``LPRC_CACHE_SIZE`` is no size.
    """
    return None if off or os.environ.get(OFF, "") not in ("", "0") else open_store()


def cache_folder() -> Path:
    """``$LPRC_CACHE_DIR``, or the platform's folder for what can be made again."""
    named = os.environ.get(FOLDER)
    if named:
        return Path(named).expanduser()
    return _platform_folder() / "lprc"


def cache_size() -> int:
    """``$LPRC_CACHE_SIZE`` in bytes, 1 GiB by default.

    Raises:
        UsageError: It is no size.
    """
    text = os.environ.get(SIZE)
    return DEFAULT_SIZE if not text else parse_size(text, SIZE)


def parse_size(text: str, where: str) -> int:
    """Bytes from ``500MB`` (powers of ten), ``2GiB`` (of two) or a plain number.

    Raises:
        UsageError: It is none of them.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"'{text}' is no size", where=where, hint="for instance 500MB, 2GiB or 1000000"
        )
    number, unit = match.groups()
    if not unit:
        return int(float(number))
    base = 1024 if unit.lower().endswith("i") else 1000
    return int(float(number) * base ** _POWERS[unit[0].lower()])


def _platform_folder() -> Path:
    # A relative XDG path is to be ignored (XDG Base Directory Specification).
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if chosen.is_absolute():
        return chosen
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    local = os.environ.get("LOCALAPPDATA", "")
    return Path(local) if sys.platform == "win32" and local else Path.home() / ".cache"
