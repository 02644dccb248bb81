"""Frames of sources through networks, source after source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lprc.compiler.frames.execute import answered
from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.opened import Networks
from lprc.compiler.frames.pictures import Album
from lprc.compiler.frames.sources import Source


def run_frames(
    sources: Sequence[Source], networks: Networks, album: Album | None = None
) -> Iterator[Frame]:
    """Every frame of the sources in order, answered; one with an error stands for a broken one.

    Args:
        sources: Read one behind the other.
        networks: What runs on the frames.
        album: Where annotated frames go; None for nowhere.

    Raises:
        RunError: A network fails.
        DataError: Its outputs are not those of its task.
        OutputError: A picture can't be written.
    """
    for frame in answered((frame for source in sources for frame in source.frames()), networks):
        if album is not None and frame.error is None:
            album.add(frame)
        yield frame
