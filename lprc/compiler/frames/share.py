"""How the cores are shared: frames that are worked on at once, and threads for each network."""

from __future__ import annotations

import os
from dataclasses import dataclass

_MOST_WORKERS = 8
"""Frames at once; each takes the memory of a frame and of each network's run."""


@dataclass(frozen=True)
class Share:
    """What one stream of frames has.

    Attributes:
        workers: Frames that are worked on at once, each in a thread.
        threads: Of each network in each of them.
    """

    workers: int
    threads: int


def share_of_cores(
    threads: int | None = None, *, streams: int = 1, frames: int | None = None
) -> Share:
    """The share of each stream for all cores to be in use: frames first, which need no waiting.

    Args:
        threads: Of each network; None for what is left when as many frames are worked on as can be.
        streams: How many share the cores.
        frames: How many there will be; None where that is not known.
    """
    cores = max(1, (os.cpu_count() or 1) // streams)
    most = min(_MOST_WORKERS, cores if frames is None else max(1, frames))
    workers = min(most, max(1, cores // (threads or 1)))
    return Share(workers, threads or max(1, cores // workers))
