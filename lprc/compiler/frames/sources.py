"""Where frames come from: what ``lprc run`` is given as SOURCE."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.video import Video, check_pyav
from lprc.core.errors import DataError
from lprc.core.files.image_listing import SUFFIXES
from lprc.core.tasks.image_files import parse_image, read_image

VIDEOS = frozenset(
    {".avi", ".gif", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".mpg", ".ts", ".webm"}
)
"""Of a folder's files; a file that is named may have any suffix."""

_IMAGES = SUFFIXES | {".tif", ".tiff", ".ppm", ".pgm"}

_LARGEST_IMAGE = 2**28
"""Bytes of an image on standard input."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")


class Source(Protocol):
    """Something that gives frames.

    Attributes:
        name: What to call it.
        length: How many frames it has, as far as that is known yet.
    """

    name: str
    length: int

    def frames(self) -> Iterator[Frame]:
        """Its frames; one with an error where there is no picture."""


def picture_frames(paths: Iterable[Path]) -> Iterator[Frame]:
    """A frame of each image file.

    Raises:
        DataError: One can't be read.
    """
    for path in paths:
        yield Frame(str(path), 0, read_image(path))


class ImageFile:
    """A picture in a file.

    Args:
        path: The file.
    """

    length = 1

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def frames(self) -> Iterator[Frame]:
        """The one picture."""
        begun = time.perf_counter()
        try:
            image = read_image(self._path)
        except DataError as error:
            yield Frame(self.name, 0, error=error.message)
            return
        frame = Frame(self.name, 0, image)
        frame.stages["decode"] = time.perf_counter() - begun
        yield frame


class ImageStream:
    """A picture on standard input.

    Args:
        stream: Its bytes.
    """

    length = 1
    name = "stdin"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def frames(self) -> Iterator[Frame]:
        """The one picture."""
        data = self._stream.read(_LARGEST_IMAGE + 1)
        if len(data) > _LARGEST_IMAGE:
            yield Frame(self.name, 0, error=f"has more than {_LARGEST_IMAGE} bytes")
            return
        try:
            image = parse_image(data, self.name)
        except DataError as error:
            yield Frame(self.name, 0, error=error.message)
            return
        yield Frame(self.name, 0, image)


def sources(words: Sequence[str], standard_input: BinaryIO | None = None) -> list[Source]:
    """What the words name: images, videos, folders, patterns, cameras, addresses, ``-``.

    Args:
        words: At least one.
        standard_input: What ``-`` means; buffered, so that its beginning can be looked at.

    Raises:
        DataError: A word names nothing.
        MissingDependencyError: A video, and nothing is installed that reads it.
    """
    named = [source for word in words for source in _named(word, standard_input)]
    if any(isinstance(source, Video) for source in named):
        check_pyav()
    return named


def frames_at_most(places: Sequence[Source]) -> int | None:
    """How many frames sources have; None where a video is among them."""
    return None if any(isinstance(place, Video) for place in places) else len(places)


def _named(word: str, standard_input: BinaryIO | None) -> list[Source]:
    path = Path(word)
    if word == "-":
        return [_standard_input(standard_input)]
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return [_file(path)]
    if _ADDRESS.match(word):
        return [Video(word, word)]
    if word.isdecimal():
        return [Video(f"camera {word}", int(word))]
    if any(sign in word for sign in "*?["):
        return _matching(word)
    raise DataError(
        "no such file or folder",
        where=word,
        hint="SOURCE is an image, a folder, a pattern, a video, a camera's number, an address or -",
    )


def _file(path: Path) -> Source:
    if path.suffix.lower() in _IMAGES:
        return ImageFile(path)
    return Video(str(path), path)


def _in_folder(folder: Path) -> list[Source]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}", where=str(folder)) from error
    suffixes = _IMAGES | VIDEOS
    files = [path for path in entries if path.suffix.lower() in suffixes and not path.is_dir()]
    if not files:
        raise DataError("neither images nor videos in it", where=str(folder))
    return [_file(path) for path in files]


def _matching(pattern: str) -> list[Source]:
    path = Path(pattern)
    root = Path(path.anchor) if path.is_absolute() else Path()
    relative = str(path.relative_to(path.anchor)) if path.is_absolute() else pattern
    try:
        files = [path for path in sorted(root.glob(relative)) if not path.is_dir()]
    except (ValueError, NotImplementedError) as error:
        raise DataError(f"is no pattern: {error}", where=pattern) from error
    if not files:
        raise DataError("no file matches", where=pattern)
    return [_file(path) for path in files]


def _standard_input(stream: BinaryIO | None) -> Source:
    if stream is None:
        raise DataError("there is no standard input", where="-")
    peek = getattr(stream, "peek", None)
    beginning: bytes = peek(16) if peek is not None else b""
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return ImageStream(stream)
    if not beginning or beginning.startswith(_SIGNATURES):
        return ImageStream(stream)
    return Video("stdin", stream)
