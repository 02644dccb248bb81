"""Entries on disk by key: written whole, checked at every read, dropped when long unused."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.compiler.cache.entry_format import DamagedEntryError, Entry, packed, unpacked
from lprc.compiler.cache.entry_rules import is_sound
from lprc.compiler.cache.remote import RemoteEntries

SCHEMA = 2
"""Of keys and entries: another number is another folder, and the old one is never looked at."""

_ABANDONED = 3600.0
"""Seconds after which a temporary file has no writer any more."""

_SLACK = 0.9
"""To which share of its limit a store is trimmed, so that the next write does not trim again."""

_SCRATCH = "tmp"


@dataclass(frozen=True)
class Usage:
    """How much is in a store.

    Attributes:
        entries: The number of entries by kind.
        size_bytes: Of all entries.
    """

    entries: dict[str, int]
    size_bytes: int


@dataclass(frozen=True)
class Trust:
    """Whose entries are read.

    Attributes:
        others: Whether those of other users are.
        secret: Entries have to be signed with it; None where they are not signed.
    """

    others: bool = False
    secret: bytes | None = None


class Store:
    """Entries in a folder, which any number of processes may use at once.

    An entry appears by a rename and is never changed. It says itself what it is an entry for, under
    a digest; an entry that is torn, altered, another user's or not as entries are is a miss, and
    removed. Below `folder` no link is followed. A store that can't be written makes compiles slow,
    not wrong: `trouble` says what the matter is.

    Args:
        folder: Where; it is made when the first entry is written.
        limit: Bytes that `trim` leaves at most.
        trust: Whose entries are read.
        remote: Where entries are looked for that are not in the folder, and written to as well.

    Attributes:
        trouble: Why something could not be written; None where all could.
        refusals: Which files were not taken for entries, and why.
    """

    def __init__(
        self,
        folder: Path,
        limit: int,
        trust: Trust | None = None,
        remote: RemoteEntries | None = None,
    ) -> None:
        self.folder, self.remote = folder, remote
        self.limit = limit
        self.trouble: str | None = None
        self.refusals: list[str] = []
        self._trust = trust or Trust()
        self._root = folder / f"v{SCHEMA}"
        self._wrote = False

    def read(self, kind: str, key: str) -> Entry | None:
        """The entry, or None where there is none that can be trusted."""
        path = self._path(kind, key)
        try:
            if not self._is_inside(path.parent):
                raise DamagedEntryError("a link leads to it")
            entry = self._checked(kind, key, self._bytes(path))
        except OSError:
            return self._fetched(kind, key)
        except DamagedEntryError as error:
            self.refuse(kind, key, str(error))
            return self._fetched(kind, key)
        with suppress(OSError):
            os.utime(path, follow_symlinks=False)  # its last use
        return entry

    def refuse(self, kind: str, key: str, why: str) -> None:
        """Take an entry for none, say so in `refusals`, and remove it if it is ours."""
        path = self._path(kind, key)
        self.refusals.append(f"{path}: not used, {why}")
        with suppress(OSError):
            if self._is_inside(path.parent) and path.lstat().st_uid == os.geteuid():
                path.unlink()

    def write(self, kind: str, key: str, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Add an entry."""
        data = packed(kind, key, header, payload, self._trust.secret)
        self._write_here(kind, key, data)
        if self.remote is not None:
            self.remote.write(kind, key, data)
            self.trouble = self.trouble or self.remote.trouble

    def _checked(self, kind: str, key: str, data: bytes) -> Entry:
        """The entry in the bytes of a file.

        Raises:
            DamagedEntryError: It is none.
        """
        entry = unpacked(kind, key, data, self._trust.secret)
        if not is_sound(kind, entry.header, entry.payload):
            raise DamagedEntryError("it is not what such entries are")
        return entry

    def _fetched(self, kind: str, key: str) -> Entry | None:
        """The entry from elsewhere, which is kept here from now on; None where there is none."""
        if self.remote is None:
            return None
        data = self.remote.read(kind, key)
        self.trouble = self.trouble or self.remote.trouble
        if data is None:
            return None
        try:
            entry = self._checked(kind, key, data)
        except DamagedEntryError as error:
            self.refusals.append(f"{self.remote.url}, {kind} {key}: not used, {error}")
            self.remote.remove(kind, key)
            return None
        self._write_here(kind, key, data)
        return entry

    def _write_here(self, kind: str, key: str, data: bytes) -> None:
        path = self._path(kind, key)
        temporary: Path | None = None
        try:
            scratch = self._root / _SCRATCH
            for folder in (scratch, path.parent):
                folder.mkdir(parents=True, exist_ok=True)
                if not self._is_inside(folder):
                    raise OSError(0, f"{folder} is reached by a link")
            handle, name = tempfile.mkstemp(dir=scratch)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            if self._trust.others:
                temporary.chmod(0o644)
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
        entries = list(self._entries())
        size = sum(status.st_size for _, status in entries)
        most = self.limit if limit is None else limit
        if size <= most:
            return 0
        wanted = size - (int(most * _SLACK) if limit is None else most)
        dropped = 0
        for path, status in sorted(entries, key=lambda item: (item[1].st_mtime_ns, item[0])):
            if dropped >= wanted:
                break
            with suppress(OSError):
                path.unlink()
                dropped += status.st_size
        return dropped

    def clear(self) -> int:
        """Drop everything, of other versions too; the bytes dropped."""
        size = 0
        for folder in _folders(self.folder):
            name = folder.name
            if name[:1] == "v" and name[1:].isdigit():
                size += sum(status.st_size for _, status in _files_below(folder))
                shutil.rmtree(folder, ignore_errors=True)  # which follows no links either
        return size

    def _bytes(self, path: Path) -> bytes:
        """What is in an entry's file, which must be a plain one.

        Raises:
            OSError: It is not there, or can't be read.
            DamagedEntryError: It is a link, something else than a file, or another user's.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        if path.is_symlink():
            raise DamagedEntryError("it is a link")
        with os.fdopen(os.open(path, flags), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DamagedEntryError("it is not a file")
            if status.st_uid != os.geteuid() and not self._trust.others:
                raise DamagedEntryError("another user wrote it, and LPRC_CACHE_SHARED is not 1")
            return stream.read()

    def _is_inside(self, folder: Path) -> bool:
        """Whether no link is on the way from the store's own folder to `folder`."""
        while folder != self.folder:
            if folder.is_symlink():
                return False
            folder = folder.parent
        return True

    def _path(self, kind: str, key: str) -> Path:
        return self._root / kind / key[:2] / key

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        if self._root.is_symlink():
            return
        for kind in _folders(self._root):
            for first in () if kind.name == _SCRATCH else _folders(kind):
                yield from _files(first)

    def _drop_abandoned(self) -> None:
        """Temporary files of writers that were killed."""
        scratch = self._root / _SCRATCH
        if not self._is_inside(scratch):
            return
        oldest = time.time() - _ABANDONED
        for path, status in _files(scratch):
            with suppress(OSError):
                if status.st_mtime < oldest:
                    path.unlink()


def _folders(folder: Path) -> list[Path]:
    """The folders in `folder`; links to folders are none."""
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """What is in `folder` besides folders, links as they are."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    found.append((Path(entry.path), entry.stat(follow_symlinks=False)))
    return found


def _files_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    yield from _files(folder)
    for inner in _folders(folder):
        yield from _files_below(inner)
