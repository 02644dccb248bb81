"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lprc.core.errors import OutputError

_PREFIX = ".lprc-"  # not made from the name, which may be as long as names can be


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the name `path` if the block succeeds.

    Raises:
        OutputError: The file can't be written: no such folder, no permission, disk full, or
            `path` is a folder or a device.
    """
    with _reported(path):
        _refuse_special(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX, suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            _sync(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_pair(path: Path, companion: Path) -> Iterator[tuple[Path, Path]]:
    """As `atomic_file` for two files that refer to each other by name.

    The temporary files have their final names in a temporary folder; `companion` is moved first,
    so that `path` never names a file that isn't there.
    """
    with _reported(path):
        _refuse_special(path)
        _refuse_special(companion)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=_PREFIX, suffix=".tmp") as folder:
            temporaries = Path(folder) / path.name, Path(folder) / companion.name
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
        _refuse_others_folder(path, may_replace)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=_PREFIX, suffix=".tmp"))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            _swap_in(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _swap_in(temporary: Path, path: Path) -> None:
    if not path.exists():
        temporary.replace(path)
        return
    # A folder can't replace a non-empty folder in one step.
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
            f"can't be written: {error.strerror or error}", where=str(path)
        ) from error


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    # There is no way to read it without setting it.
    current = os.umask(0o077)
    os.umask(current)
    return current
