"""Where the cache is, how large it may be, and whether there is one."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from lprc.compiler.cache.remote import RemoteEntries
from lprc.compiler.cache.store import SCHEMA, Store, Trust
from lprc.core.errors import UsageError
from lprc.core.files.regular import read_regular

FOLDER = "LPRC_CACHE_DIR"
SIZE = "LPRC_CACHE_SIZE"
REMOTE = "LPRC_CACHE_REMOTE"
OFF = "LPRC_NO_CACHE"
SHARED = "LPRC_CACHE_SHARED"
SECRET = "LPRC_CACHE_KEY"  # noqa: S105 - the name of a variable
SECRET_FILE = "LPRC_CACHE_KEY_FILE"  # noqa: S105 - the name of a variable

_SHORTEST_SECRET = 16
"""Bytes below which a secret can be guessed."""

_LONGEST_SECRET = 4096

DEFAULT_SIZE = 1 << 30

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]i?)?B?", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


def open_store() -> Store:
    """The user's cache, whether it is switched off or not.

    Raises:
        UsageError: ``LPRC_CACHE_SIZE`` is no size, the secret can't be used, or
            ``LPRC_CACHE_REMOTE`` is not to be trusted or no URL that fsspec knows.
        MissingDependencyError: ``LPRC_CACHE_REMOTE`` needs fsspec, which is not installed.
    """
    others = os.environ.get(SHARED, "") not in ("", "0")
    trust = Trust(others, _secret())
    return Store(cache_folder(), cache_size(), trust, _remote(trust))


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


def _remote(trust: Trust) -> RemoteEntries | None:
    """What is behind the folder: ``$LPRC_CACHE_REMOTE``, a URL for fsspec; None for nothing.

    Raises:
        UsageError: Whoever can write there would be trusted, and nobody said so.
        LprcError: As of `RemoteEntries`.
    """
    url = os.environ.get(REMOTE, "")
    if not url:
        return None
    if trust.secret is None and not trust.others:
        raise UsageError(
            "entries from there would be read whoever wrote them",
            where=REMOTE,
            hint=f"sign them with {SECRET_FILE}, or trust all with {SHARED}=1",
        )
    return RemoteEntries(url, SCHEMA)


def _secret() -> bytes | None:
    """What signs entries: ``$LPRC_CACHE_KEY``, or what is in the file ``$LPRC_CACHE_KEY_FILE``.

    Raises:
        UsageError: Both are given, the file can't be read, or the secret is too short.
    """
    text, file = os.environ.get(SECRET, ""), os.environ.get(SECRET_FILE, "")
    if text and file:
        raise UsageError(f"{SECRET} is given too", where=SECRET_FILE, hint="leave one out")
    if not text and not file:
        return None
    try:
        data = read_regular(Path(file), limit=_LONGEST_SECRET) if file else os.fsencode(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"can't be read: {error}", where=f"{SECRET_FILE} {file}") from error
    secret = data.strip()
    if len(secret) < _SHORTEST_SECRET:
        raise UsageError(
            f"it has fewer than {_SHORTEST_SECRET} bytes",
            where=SECRET_FILE if file else SECRET,
            hint="for instance `openssl rand -hex 32`",
        )
    return secret


def _platform_folder() -> Path:
    # A relative XDG path is to be ignored (XDG Base Directory Specification).
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if chosen.is_absolute():
        return chosen
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    local = os.environ.get("LOCALAPPDATA", "")
    return Path(local) if sys.platform == "win32" and local else Path.home() / ".cache"
