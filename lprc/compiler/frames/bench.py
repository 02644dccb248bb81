"""How many frames a second go through a pipeline, and where the time goes."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

from lprc.compiler.frames.draw import annotated
from lprc.compiler.frames.execute import answered
from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.opened import Networks
from lprc.compiler.frames.sources import Source
from lprc.core.errors import DataError

WARMUP = 10
"""Frames of each stream before the clock starts."""

Open = Callable[[int], Networks]
"""Loads the networks of one stream, with that many threads each."""


@dataclass(frozen=True)
class StreamRow:
    """What so many streams at once reach.

    Attributes:
        streams: How many.
        frames: Of all of them.
        seconds: From the first frame's start to the last one's end.
        threads: Of each network.
        stages: Milliseconds of each step, the median over frames.
    """

    streams: int
    frames: int
    seconds: float
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
    threads: int,
    draw: bool = False,
) -> StreamRow:
    """Run streams of the same frames at once, each with networks of its own.

    Args:
        open_networks: Loads a stream's.
        sources: Read again from the beginning until there are frames enough.
        streams: How many at once.
        frames: Of each stream.
        threads: Of each network.
        draw: Whether answers are drawn, too.

    Raises:
        DataError: A frame that can't be read.
        RunError: A network fails.
    """
    loaded = [open_networks(threads) for _ in range(streams)]
    gate = threading.Barrier(streams + 1)
    stages: dict[str, list[float]] = {}
    failures: list[BaseException] = []

    def work(networks: Networks) -> None:
        try:
            for _ in answered(itertools.islice(_endless(sources), WARMUP), networks):
                pass
            gate.wait()
            for frame in answered(itertools.islice(_endless(sources), frames), networks):
                if draw:
                    with frame.timed("draw"):
                        annotated(frame)
                for name, seconds in frame.stages.items():
                    stages.setdefault(name, []).append(seconds)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
            failures.append(error)
            gate.abort()

    workers = [threading.Thread(target=work, args=(item,), daemon=True) for item in loaded]
    for worker in workers:
        worker.start()
    with suppress(threading.BrokenBarrierError):
        gate.wait()
    begun = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - begun
    if failures:
        real = [item for item in failures if not isinstance(item, threading.BrokenBarrierError)]
        raise (real or failures)[0]
    medians = {name: median(taken) * 1e3 for name, taken in stages.items()}
    return StreamRow(streams, streams * frames, seconds, threads, medians)


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
