"""How many frames a second go through a pipeline, and where the time goes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from lprc.compiler.frames.draw import annotated
from lprc.compiler.frames.execute import answered
from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.opened import Networks
from lprc.compiler.frames.share import Share
from lprc.compiler.frames.sources import Source
from lprc.core.errors import DataError
from lprc.core.process.together import together

WARMUP = 10
"""Frames of each stream before the clock starts."""

Open = Callable[[Share], Networks]
"""Loads the networks of one stream, for its share of the cores."""


@dataclass(frozen=True)
class StreamRow:
    """What so many streams at once reach.

    Attributes:
        streams: How many.
        frames: Of all of them.
        seconds: From the first frame's start to the last one's end.
        workers: Frames of each stream that are worked on at once.
        threads: Of each network.
        stages: Milliseconds of each step, the median over frames.
    """

    streams: int
    frames: int
    seconds: float
    workers: int
    threads: int
    stages: dict[str, float]

    @property
    def frames_per_second(self) -> float:
        """Of all streams together."""
        return self.frames / self.seconds

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {**vars(self), "frames_per_second": self.frames_per_second}


def bench_streams(
    open_networks: Open,
    sources: Sequence[Source],
    *,
    streams: int,
    frames: int,
    share: Share,
    draw: bool = False,
) -> StreamRow:
    """Run streams of the same frames at once, each with networks of its own.

    Args:
        open_networks: Loads a stream's.
        sources: Read again from the beginning until there are frames enough.
        streams: How many at once.
        frames: Of each stream.
        share: Of the cores, of each stream.
        draw: Whether answers are drawn, too.

    Raises:
        DataError: A frame that can't be read.
        RunError: A network fails.
    """
    loaded = [open_networks(share) for _ in range(streams)]
    run = _Streams(sources, frames, draw=draw)
    seconds = run.seconds(loaded)
    medians = {name: median(taken) * 1e3 for name, taken in run.stages.items()}
    return StreamRow(streams, streams * frames, seconds, share.workers, share.threads, medians)


class _Streams:
    """Streams that begin together.

    Attributes:
        stages: Seconds of each step, of each frame.
    """

    def __init__(self, sources: Sequence[Source], frames: int, *, draw: bool) -> None:
        self._sources, self._frames, self._draw = sources, frames, draw
        self._stopping = threading.Event()
        self.stages: dict[str, list[float]] = {}

    def seconds(self, loaded: Sequence[Networks]) -> float:
        """From the first frame's start to the last one's end."""
        return together([partial(self._work, networks) for networks in loaded], self._stopping)

    def _work(self, networks: Networks, wait: Callable[[], object]) -> None:
        for _ in answered(self._some(WARMUP), networks):
            pass
        wait()
        for frame in answered(self._some(self._frames), networks):
            if self._draw:
                with frame.timed("draw"):
                    annotated(frame)
            for name, seconds in frame.stages.items():
                self.stages.setdefault(name, []).append(seconds)

    def _some(self, count: int) -> Iterator[Frame]:
        wanted = itertools.islice(_endless(self._sources), count)
        return itertools.takewhile(lambda _: not self._stopping.is_set(), wanted)


def _endless(sources: Sequence[Source]) -> Iterator[Frame]:
    """The frames of the sources again and again.

    Raises:
        DataError: One that can't be read, or there is none.
    """
    while True:
        empty = True
        for source in sources:
            for frame in source.frames():
                if frame.error is not None:
                    raise DataError(frame.error, where=frame.name)
                empty = False
                yield frame
        if empty:
            raise DataError("no frames in them", where=", ".join(s.name for s in sources))
