"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lprc.core.errors import OutputError
from lprc.core.files.scratch import scratch_file, scratch_folder


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the name `path` if the block succeeds.

    Raises:
        OutputError: The file can't be written: no such folder, no permission, disk full, or
            `path` is a folder or a device.
    """
    with _reported(path):
        _refuse_special(path)
        with scratch_file(path.parent) as temporary:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            _sync(temporary)
            temporary.replace(path)


@contextmanager
def atomic_pair(path: Path, companion: Path) -> Iterator[tuple[Path, Path]]:
    """As `atomic_file` for two files that refer to each other by name.

    The temporary files have their final names in a temporary folder; `companion` is moved first,
    so that `path` never names a file that isn't there.
    """
    with _reported(path):
        _refuse_special(path)
        _refuse_special(companion)
        with scratch_folder(path.parent) as folder:
            temporaries = folder / path.name, folder / companion.name
            yield temporaries
            for temporary in temporaries:
                _sync(temporary)
            temporaries[1].replace(companion)
            temporaries[0].replace(path)


@contextmanager
def atomic_folder(path: Path, *, may_replace: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; it takes the name `path` if the block succeeds.

    Args:
        path: The folder to make; its parents are made too.
        may_replace: Asked whether an existing, non-empty folder at `path` is ours to replace.

    Raises:
        OutputError: `path` is a file or a folder that isn't ours, or it can't be written.
    """
    with _reported(path):
        path = path.resolve() if path.is_symlink() else path
        _refuse_others_folder(path, may_replace)
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(path.parent) as temporary:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            _sync_folder(temporary)
            _refuse_others_folder(path, may_replace)  # it may have come while we worked
            _swap_in(temporary, path)


def _swap_in(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)  # where there is none yet, or an empty one
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if _exchange(temporary, path):  # and what is temporary now is removed
        return
    # Elsewhere a folder can't replace a non-empty folder in one step. Whoever is killed between
    # the two leaves the old one under a name that is never swept.
    old = temporary.with_name(f"{temporary.name}.old")
    path.replace(old)
    try:
        temporary.replace(path)
    except OSError:
        old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _refuse_special(path: Path) -> None:
    """Renaming a file over a device, as root over /dev/null, would replace it."""
    if path.is_dir():
        raise OutputError("is a folder, not a file", where=str(path))
    if path.exists() and not path.is_file():
        raise OutputError("is not a regular file", where=str(path))


def _refuse_others_folder(path: Path, may_replace: Callable[[Path], bool]) -> None:
    if path.exists() and not path.is_dir():
        raise OutputError("is a file, not a folder", where=str(path))
    if path.is_dir() and any(path.iterdir()) and not may_replace(path):
        raise OutputError(
            "this folder holds files that lprc did not write",
            where=str(path),
            hint="name another output folder, or empty this one",
        )


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"can't be written: {error.strerror or error}", where=str(path), path=path
        ) from error


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            _sync(path)


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where the C library or the file system can't."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    done = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _umask() -> int:
    """The mask of new files' permissions, read without setting it, as that is every thread's."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == "Umask":
            return int(value, 8)
    current = os.umask(0o077)
    os.umask(current)
    return current
