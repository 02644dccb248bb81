"""Temporary files beside an output, and what a killed process left of them."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = ".lprc-"  # not made from the output's name, which may be as long as names can be
_CLAIMED = ".tmp"
_UNCLAIMED = ".new"

_ABANDONED = 60.0
"""Seconds after which what is empty and unclaimed has no process that is about to claim it."""


@contextmanager
def scratch_file(parent: Path) -> Iterator[Path]:
    """An empty file in `parent`, removed at the end of the block if it is still there.

    Raises:
        OSError: It can't be made.
    """
    sweep(parent)
    handle, name = tempfile.mkstemp(dir=parent, prefix=PREFIX, suffix=_UNCLAIMED)
    path = Path(name)
    try:
        path = _claim(handle, path)
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """An empty folder in `parent`, removed at the end of the block if it is still there.

    Raises:
        OSError: It can't be made.
    """
    sweep(parent)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=PREFIX, suffix=_UNCLAIMED))
    handle = -1
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        folder = _claim(handle, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle >= 0:
            os.close(handle)


def _claim(handle: int, path: Path) -> Path:
    """Lock what was made for as long as we live, and only then give it a name that is swept.

    The kernel drops the lock when its process ends, however it ends. A process id in the name
    would not do: in another container, or on another machine that shares the folder, it means
    another process or none. Where the file system has no locks nothing is ever swept.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return path
    return path.rename(path.with_suffix(_CLAIMED))


def sweep(parent: Path) -> None:
    """Remove what processes that are gone left in `parent`; what can't be removed stays."""
    try:
        with os.scandir(parent) as entries:
            names = [
                entry.name
                for entry in entries
                if entry.name.startswith(PREFIX)
                and (entry.name.endswith(_CLAIMED) or _was_never_claimed(entry))
            ]
    except OSError:  # whoever writes there says so
        return
    for name in names:
        _remove_abandoned(parent / name)


def _was_never_claimed(entry: os.DirEntry[str]) -> bool:
    """Whether a process was killed between making `entry` and locking it, a while ago.

    Where there are no locks what is in use has this name too; there the lock is not got later.
    """
    if not entry.name.endswith(_UNCLAIMED):
        return False
    try:
        status = entry.stat(follow_symlinks=False)
        empty = not any(os.scandir(entry)) if entry.is_dir() else status.st_size == 0
    except OSError:
        return False
    return empty and status.st_mtime < time.time() - _ABANDONED


def _remove_abandoned(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:  # gone already, or not ours
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:  # its process is alive, or the folder is another user's
        pass
    finally:
        os.close(handle)
