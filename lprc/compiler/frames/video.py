"""Frames of videos, cameras and addresses, by PyAV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from lprc.compiler.frames.frame import Frame
from lprc.core.errors import MissingDependencyError
from lprc.core.files.regular import open_regular
from lprc.core.process.installed import is_installed

_PATIENCE = 10.0
"""Seconds that a camera or an address may take for an answer."""

_RATE = 25
"""Frames a second where a source does not date them."""

_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
"""By degrees counterclockwise, as both PyAV and Pillow count them."""

_NO_PROTOCOL = {"protocol_whitelist": "none"}
"""A file may be a list of addresses in disguise; nothing but the file itself is opened."""


def check_pyav() -> None:
    """Refuse before any work a video where nothing reads it.

    Raises:
        MissingDependencyError: PyAV is not installed.
    """
    if not is_installed("av"):
        raise MissingDependencyError("videos need PyAV", hint='pip install "lprc[vision]"')


class Video:
    """Frames of something that PyAV opens.

    Args:
        name: What to call it.
        place: A file, an open stream, the number of a camera, or an address.
    """

    def __init__(self, name: str, place: Path | BinaryIO | int | str) -> None:
        self.name = name
        self.length = 1
        self._place = place

    def frames(self) -> Iterator[Frame]:
        """The frames; what can't be decoded is one with an error, and the rest follows."""
        import av

        try:
            with self._opened() as container:
                yield from self._decoded(container)
        except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
            yield Frame(self.name, 0, error=f"can't be opened: {_reason(error)}")

    def _opened(self) -> Any:
        import av

        place = self._place
        if isinstance(place, Path):
            return av.open(open_regular(place), options=_NO_PROTOCOL)
        if isinstance(place, int):
            return av.open(f"/dev/video{place}", format="v4l2", timeout=_PATIENCE)
        if isinstance(place, str):
            return av.open(place, options={"rtsp_transport": "tcp"}, timeout=_PATIENCE)
        return av.open(place, options=_NO_PROTOCOL)

    def _decoded(self, container: Any) -> Iterator[Frame]:
        import av

        if not container.streams.video:
            raise ValueError("it has no pictures")
        stream = container.streams.video[0]
        _refuse_absurd(stream.width * stream.height)
        self.length = max(1, stream.frames)
        packets = container.demux(stream)
        number, first, seconds = 0, None, 0.0
        while True:
            begun = time.perf_counter()
            decoded: list[Any] = []
            error = None
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                decoded = packet.decode()
            except av.error.FFmpegError as problem:
                error = _reason(problem)
            if error is not None:
                yield Frame(self.name, number, seconds=seconds, error=f"can't be decoded: {error}")
                number += 1
            for item in decoded:
                if first is None:
                    first = item.time or 0.0
                since = number / _RATE if item.time is None else float(item.time) - first
                seconds = max(0.0, since)
                image = _upright(item)
                frame = Frame(self.name, number, image, seconds)
                frame.stages["decode"] = time.perf_counter() - begun
                yield frame
                number += 1
                begun = time.perf_counter()


def _upright(item: Any) -> Image.Image:
    """A decoded frame as it is to be shown: telephones record turned by quarters."""
    image = Image.fromarray(item.to_ndarray(format="rgb24"))
    turn = _TURNS.get(round(item.rotation) % 360)
    return image if turn is None else image.transpose(turn)


def _refuse_absurd(pixels: int) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > limit:
        raise ValueError(f"a frame has {pixels} pixels, and {limit} are the most")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
