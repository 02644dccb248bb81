"""Files that come from anywhere, opened without waiting for whoever is at the other end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open for reading.

    A FIFO, a device, a socket or a folder is refused before anything is read from it: reading
    could wait for ever, or never end.

    Args:
        path: The file, or a link to it.

    Raises:
        OSError: It can't be read, or is no regular file.
        ValueError: Its name holds a zero.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise _not_regular(path, mode)
    return os.fdopen(handle, "rb")


def read_regular(path: Path, *, limit: int | None = None) -> bytes:
    """The bytes of a regular file.

    Args:
        path: The file, or a link to it.
        limit: The most bytes that it may have; None for any number.

    Raises:
        OSError: As of `open_regular`.
        ValueError: It is larger than `limit`, or its name holds a zero.
    """
    with open_regular(path) as stream:
        if limit is None:
            return stream.read()
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"it is larger than {limit} bytes")
    return data


def _not_regular(path: Path, mode: int) -> OSError:
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    return OSError(0, f"is {kind}, not a regular file", str(path))
