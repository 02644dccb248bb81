"""Messages between a process and its workers: JSON behind its length, never pickle.

A frame is 8 bytes (little-endian length of what follows) and that many bytes of UTF-8 JSON.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from typing import IO, Any

_LENGTH = struct.Struct("<Q")


class NoAnswerError(Exception):
    """The other side has said nothing for too long."""


def write_frame(stream: IO[bytes], message: Any) -> None:
    """Send `message`, JSON data."""
    stream.write(_frame(message))
    stream.flush()


def write_frame_within(stream: IO[bytes], message: Any, seconds: float) -> None:
    """Send `message` through an unbuffered pipe.

    Raises:
        NoAnswerError: The other side has not read it within `seconds`.
        BrokenPipeError: It has closed its end.
    """
    deadline = time.monotonic() + seconds
    left = memoryview(_frame(message))
    while left:
        _, ready, _ = select.select([], [stream], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise NoAnswerError
        left = left[os.write(stream.fileno(), left[: select.PIPE_BUF]) :]  # more might block


def _frame(message: Any) -> bytes:
    text = json.dumps(message).encode()
    return _LENGTH.pack(len(text)) + text


def read_frame(stream: IO[bytes]) -> Any:
    """The next message; None where the other side has closed its end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    return json.loads(stream.read(length))


def read_frame_within(stream: IO[bytes], seconds: float) -> Any:
    """The next message from an unbuffered pipe.

    Raises:
        NoAnswerError: It has not come within `seconds`.
        EOFError: The other side has closed its end.
    """
    deadline = time.monotonic() + seconds
    (length,) = _LENGTH.unpack(_read(stream, _LENGTH.size, deadline))
    return json.loads(_read(stream, length, deadline))


def _read(stream: IO[bytes], count: int, deadline: float) -> bytes:
    """Exactly `count` bytes: a worker may hang in the middle of a frame."""
    read = bytearray()
    while len(read) < count:
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise NoAnswerError
        piece = stream.read(count - len(read))
        if not piece:
            raise EOFError
        read += piece
    return bytes(read)
