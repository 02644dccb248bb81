"""Files packed with gzip: for transport, where zeros should cost nothing."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from lprc.core.errors import InvalidModelError
from lprc.core.files.packing import unpacked_limit

SUFFIX = ".gz"


def is_packed(path: Path) -> bool:
    """Whether a file's name says that it is packed."""
    return path.suffix == SUFFIX


def pack(data: bytes) -> bytes:
    """`data` as a gzip file without a name and a time: the same bytes for the same data."""
    return gzip.compress(data, compresslevel=9, mtime=0)


def unpack(data: bytes, where: str, limit: int) -> bytes:
    """What a gzip file holds.

    Raises:
        InvalidModelError: Not a whole gzip file, or one that holds more than `limit` bytes.
    """
    limit = min(limit, unpacked_limit(len(data)))
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        content = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise InvalidModelError(f"not a gzip file: {error}", where=where) from error
    if len(content) > limit:
        raise InvalidModelError(f"holds more than {limit} bytes", where=where)
    if not inflater.eof or inflater.unused_data:
        raise InvalidModelError(
            "not one whole gzip file", where=where, hint="export or copy it again"
        )
    return content
