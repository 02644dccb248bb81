"""Python's cyclic garbage collector, paused while graphs are built and rewritten."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from lprc.core.process.shared_block import SharedBlock


def _pause() -> bool:
    """Pause it; whether it ran before."""
    was_enabled = gc.isenabled()
    gc.disable()
    return was_enabled


def _resume(was_enabled: bool) -> None:
    if was_enabled:
        gc.enable()


_PAUSE = SharedBlock(_pause, _resume)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the collector in the block, if it runs, until the last thread leaves such a block.

    A graph is hundreds of thousands of small objects that refer to each other. Making them sets
    off full collections that walk all of them and find nothing: half the time of a pipeline on
    10,000 nodes, growing with the square.
    """
    with _PAUSE:
        yield
