"""Arrays in .npz and .npy files, which may come from anywhere."""

from __future__ import annotations

import zipfile
import zlib
from lzma import LZMAError
from math import prod
from pathlib import Path
from typing import IO, Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.files.packing import refuse_bomb
from lprc.core.files.regular import open_regular

MOST_ARRAYS = 10_000

_SUFFIX = ".npy"


def read_array(path: Path) -> NDArray[Any]:
    """The array of an .npy file; nothing in it is unpickled.

    Raises:
        DataError: Not an .npy file of a plain array.
    """
    try:
        with open_regular(path) as stream:
            _check_size(stream, path.stat().st_size)
            stream.seek(0)
            array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    except (EOFError, OSError, OverflowError, SyntaxError, TypeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"not an .npy file of an array: {reason}", where=str(path)) from error
    return array


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name; nothing in it is unpickled.

    Raises:
        DataError: Not an .npz of plain arrays, or one that unpacks to far more than it is.
    """
    try:
        stream = open_regular(path)
    except (OSError, ValueError) as error:
        raise _not_arrays(error, str(path)) from error
    with stream:
        return arrays_in(stream, str(path))


def arrays_in(stream: IO[bytes], where: str) -> dict[str, NDArray[Any]]:
    """As `read_arrays`, from an open file.

    Raises:
        DataError: As of `read_arrays`; `where` is what to call the file.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            return _read_all(archive)
    except (
        AttributeError,
        EOFError,
        LZMAError,
        NotImplementedError,  # a way of packing that this Python does not know
        OSError,
        OverflowError,
        RuntimeError,  # encrypted
        SyntaxError,  # numpy's answer to some broken headers
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise _not_arrays(error, where) from error


def _not_arrays(error: Exception, where: str) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(f"not an .npz file of arrays: {reason}", where=where)


def _read_all(archive: zipfile.ZipFile) -> dict[str, NDArray[Any]]:
    members = archive.infolist()
    if len(members) > MOST_ARRAYS:
        raise ValueError(f"it has {len(members)} members, and {MOST_ARRAYS} are the most")
    refuse_bomb(sum(m.compress_size for m in members), sum(m.file_size for m in members))
    arrays: dict[str, NDArray[Any]] = {}
    for member in members:
        name = member.filename.removesuffix(_SUFFIX)
        if name == member.filename or name in arrays:
            raise ValueError(f"{member.filename!r} is no array, or there are two of the name")
        with archive.open(member) as stream:
            _check_size(stream, member.file_size)
        with archive.open(member) as stream:
            arrays[name] = npy.read_array(stream, allow_pickle=False)
    return arrays


def _check_size(stream: IO[bytes], size: int) -> None:
    """numpy makes room for what a header promises before it looks at what follows."""
    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if not dtype.hasobject and prod(shape) * dtype.itemsize > size:
        raise ValueError(f"its header promises {prod(shape) * dtype.itemsize} bytes of {size}")
