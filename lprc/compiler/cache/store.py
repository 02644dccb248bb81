"""Entries on disk by key: written whole, checked at every read, dropped when long unused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.compiler.cache.headers import CHECKS

SCHEMA = 1
"""Of keys and entries: another number is another folder, and the old one is never looked at."""

_MAGIC = b"lprc-cache"
_ABANDONED = 3600.0
"""Seconds after which a temporary file has no writer any more."""

_SLACK = 0.9
"""To which share of its limit a store is trimmed, so that the next write does not trim again."""


@dataclass(frozen=True)
class Entry:
    """What a key stands for.

    Attributes:
        header: JSON data.
        payload: Bytes.
    """

    header: dict[str, Any]
    payload: bytes


@dataclass(frozen=True)
class Usage:
    """How much is in a store.

    Attributes:
        entries: The number of entries by kind.
        size_bytes: Of all entries.
    """

    entries: dict[str, int]
    size_bytes: int


class Store:
    """Entries in a folder, which any number of processes may use at once.

    An entry appears by a rename and is never changed. Its SHA-256 stands in it; an entry that is
    torn or altered is removed when it is read. A store that can't be written makes compiles slow,
    not wrong: `trouble` says what the matter is.

    Args:
        folder: Where; it is made when the first entry is written.
        limit: Bytes that `trim` leaves at most.
        checks: Whether an entry says what its kind does, by kind; others are not checked.

    Attributes:
        trouble: Why something could not be written; None where all could.
    """

    def __init__(
        self, folder: Path, limit: int, checks: Mapping[str, Callable[[Entry], bool]] = CHECKS
    ) -> None:
        self.folder = folder
        self.limit = limit
        self._checks = checks
        self.trouble: str | None = None
        self._root = folder / f"v{SCHEMA}"
        self._wrote = False

    def read(self, kind: str, key: str) -> Entry | None:
        """The entry, or None where there is none that is whole and says what its kind does."""
        path = self._path(kind, key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        entry = _unpacked(data)
        if entry is not None and kind in self._checks and not self._checks[kind](entry):
            entry = None
        with suppress(OSError):
            if entry is None:
                path.unlink()
            else:
                os.utime(path)  # its last use
        return entry

    def write(self, kind: str, key: str, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Add an entry."""
        data = _packed(header, payload)
        path = self._path(kind, key)
        temporary: Path | None = None
        try:
            scratch = self._root / "tmp"
            for folder in (scratch, path.parent):
                folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=scratch)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            temporary.replace(path)
            self._wrote = True
        except OSError as error:
            self.trouble = f"the cache can't be written: {error.strerror or error}"
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def close(self) -> None:
        """Trim, if something was written."""
        if self._wrote:
            self.trim()
            self._wrote = False

    def usage(self) -> Usage:
        """How much there is."""
        entries: dict[str, int] = {}
        size = 0
        for path, status in self._entries():
            kind = path.parent.parent.name
            entries[kind] = entries.get(kind, 0) + 1
            size += status.st_size
        return Usage(dict(sorted(entries.items())), size)

    def trim(self, limit: int | None = None) -> int:
        """Drop what was not used for longest until `limit` bytes are left; the bytes dropped.

        Args:
            limit: None for the store's own, with some room below it for what comes next.
        """
        self._drop_abandoned()
        found = list(self._entries())
        size = sum(status.st_size for _, status in found)
        most = self.limit if limit is None else limit
        if size <= most:
            return 0
        wanted = size - (int(most * _SLACK) if limit is None else most)
        dropped = 0
        for path, status in sorted(found, key=lambda item: (item[1].st_mtime_ns, item[0])):
            if dropped >= wanted:
                break
            with suppress(OSError):
                path.unlink()
                dropped += status.st_size
        return dropped

    def clear(self) -> int:
        """Drop everything, of other versions too; the bytes dropped."""
        size = 0
        for folder in self.folder.glob("v*"):
            if not folder.name[1:].isdigit() or folder.is_symlink():
                continue
            for path in folder.rglob("*"):
                with suppress(OSError):
                    size += path.stat().st_size if path.is_file() else 0
            shutil.rmtree(folder, ignore_errors=True)
        return size

    def _path(self, kind: str, key: str) -> Path:
        return self._root / kind / key[:2] / key

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._root.glob("*/??/*"):
            with suppress(OSError):
                yield path, path.stat()

    def _drop_abandoned(self) -> None:
        """Temporary files of writers that were killed."""
        oldest = time.time() - _ABANDONED
        for path in (self._root / "tmp").glob("*"):
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def join(parts: Mapping[str, bytes]) -> tuple[list[list[Any]], bytes]:
    """Several byte strings as one payload, and the table that `split` needs."""
    return [[name, len(data)] for name, data in parts.items()], b"".join(parts.values())


def split(table: Sequence[Sequence[Any]], payload: bytes) -> dict[str, bytes]:
    """What `join` joined."""
    parts, start = {}, 0
    for name, length in table:
        parts[str(name)] = payload[start : start + length]
        start += length
    return parts


def _packed(header: Mapping[str, Any], payload: bytes) -> bytes:
    text = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    body = text + b"\n" + payload
    return b"%s %s\n%s" % (_MAGIC, hashlib.sha256(body).hexdigest().encode("ascii"), body)


def _unpacked(data: bytes) -> Entry | None:
    first, _, body = data.partition(b"\n")
    expected = b"%s %s" % (_MAGIC, hashlib.sha256(body).hexdigest().encode("ascii"))
    if first != expected:
        return None
    text, _, payload = body.partition(b"\n")
    try:
        header = json.loads(text)
    except ValueError:
        return None
    return Entry(header, payload) if isinstance(header, dict) else None
