"""Annotated frames as files: a picture for a picture, a video for a video."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lprc.compiler.frames.draw import annotated
from lprc.compiler.frames.frame import Frame
from lprc.core.errors import OutputError
from lprc.core.files.atomic import atomic_file

_CLOCK = 90_000
"""Units of a video's time in a second."""

_JPEG = frozenset({".jpg", ".jpeg"})


class Album:
    """A folder that annotated frames are written to; files that it writes have one name each.

    As a context it completes the video at hand, which is left out where the block fails.

    Args:
        folder: It is made where it is missing.

    Raises:
        OutputError: It can't be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: set[str] = set()
        self._stack = ExitStack()
        self._film: Film | None = None
        self._filmed = ""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"can't be made: {error.strerror}", where=str(folder)) from error

    def __enter__(self) -> Album:
        self._stack.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def add(self, frame: Frame) -> None:
        """Write a frame: as a picture, or as the next one of its source's video.

        Raises:
            OutputError: It can't be written.
        """
        with frame.timed("draw"):
            picture = annotated(frame)
            if frame.seconds is None:
                self._save(picture, frame.source)
            else:
                self._film_of(frame).add(picture, frame.seconds)

    def _save(self, picture: Image.Image, source: str) -> None:
        suffix = Path(source).suffix.lower()
        path = self._place(source, suffix if suffix in _JPEG else ".png")
        with atomic_file(path) as temporary:
            if path.suffix in _JPEG:
                picture.save(temporary, format="JPEG", quality=92)
            else:
                picture.save(temporary, format="PNG")

    def _film_of(self, frame: Frame) -> Film:
        if self._film is None or frame.source != self._filmed:
            self._stack.close()  # the one before it appears
            path = self._place(frame.source, ".mp4")
            self._film = Film(self._stack.enter_context(atomic_file(path)))
            self._stack.callback(self._film.close)
            self._filmed = frame.source
        return self._film

    def _place(self, source: str, suffix: str) -> Path:
        stem = Path(source.replace("\\", "/").rstrip("/")).stem.replace(":", "-") or "frame"
        name, number = f"{stem}{suffix}", 1
        while name in self._names:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._names.add(name)
        return self._folder / name


class Film:
    """A video that is written (H.264 in MP4).

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: Any = None
        self._stream: Any = None
        self._last = -1

    def add(self, picture: Image.Image, seconds: float) -> None:
        """Append a picture, RGB, at a time; one of another size than the first is cut or padded."""
        import av

        if self._container is None:
            # The codec halves both sides for colours.
            self._begin(picture.width + picture.width % 2, picture.height + picture.height % 2)
        size = (self._stream.width, self._stream.height)
        if picture.size != size:
            fitted = Image.new("RGB", size)
            fitted.paste(picture)
            picture = fitted
        image = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
        self._last = max(self._last + 1, round(seconds * _CLOCK))
        image.pts, image.time_base = self._last, Fraction(1, _CLOCK)
        self._container.mux(self._stream.encode(image))

    def close(self) -> None:
        """Write what the codec still holds."""
        if self._container is not None:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._container = None

    def _begin(self, width: int, height: int) -> None:
        import av

        self._container = av.open(str(self._path), "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=25)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _CLOCK)
