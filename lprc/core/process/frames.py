"""Messages between two processes: JSON, and arrays as their raw bytes.

Not pickle: the other side runs vendor code on files that nobody vouches for.
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

_LENGTH = struct.Struct("<Q")
_MAX_HEADER = 1 << 28
_KEY = "$"
"""Marks what is no JSON; a document has no such key."""


class FrameError(Exception):
    """A message that is cut short, or is none."""


def write_frame(stream: IO[bytes], document: Any) -> None:
    """Send a document of JSON types, bytes and arrays."""
    buffers: list[Any] = []
    header = json.dumps(_encoded(document, buffers)).encode()
    stream.write(_LENGTH.pack(len(header)))
    stream.write(header)
    for buffer in buffers:
        stream.write(buffer)
    stream.flush()


def read_frame(stream: IO[bytes]) -> Any:
    """Receive what `write_frame` sent; its arrays are new ones.

    Raises:
        FrameError: The stream ended, or holds something else.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > _MAX_HEADER:
        raise FrameError("not a message")
    try:
        header = json.loads(_exactly(stream, length))
    except ValueError as error:
        raise FrameError("not a message") from error
    return _decoded(header, stream)


def _encoded(value: Any, buffers: list[Any]) -> Any:
    if isinstance(value, np.ndarray):
        return _encoded_array(value, buffers)
    if isinstance(value, bytes):
        buffers.append(value)
        return {_KEY: "bytes", "size": len(value)}
    if isinstance(value, dict):
        # Pairs, as keys may be numbers.
        pairs = [[key, _encoded(item, buffers)] for key, item in value.items()]
        return {_KEY: "dict", "pairs": pairs}
    if isinstance(value, (list, tuple)):
        return [_encoded(item, buffers) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _encoded_array(array: NDArray[Any], buffers: list[Any]) -> dict[str, Any]:
    shape = list(array.shape)
    if array.dtype.kind in "OUS":
        texts = [
            text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            for text in array.reshape(-1).tolist()
        ]
        return {_KEY: "strings", "shape": shape, "texts": texts}
    # numpy makes no buffer of the types of ml_dtypes.
    is_numpy_type = array.dtype.isbuiltin == 1
    buffers.append(np.ascontiguousarray(array).data if is_numpy_type else array.tobytes())
    return {_KEY: "array", "dtype": array.dtype.name, "shape": shape, "size": array.nbytes}


def _decoded(value: Any, stream: IO[bytes]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, stream) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value[_KEY]
    if kind == "dict":
        return {key: _decoded(item, stream) for key, item in value["pairs"]}
    if kind == "strings":
        return np.array(value["texts"], object).reshape(value["shape"])
    data = _exactly(stream, value["size"])
    if kind == "bytes":
        return bytes(data)
    return np.frombuffer(data, _dtype(value["dtype"])).reshape(value["shape"])


def _dtype(name: str) -> np.dtype[Any]:
    try:
        return np.dtype(name)
    except TypeError:
        dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return dtype


def _exactly(stream: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            raise FrameError("the stream ended")
        done += count
    return data
