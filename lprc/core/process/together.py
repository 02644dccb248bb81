"""Threads that begin together, for measurements of several streams at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

Work = Callable[[Callable[[], object]], None]
"""Warms up, calls what it is given, which waits for the others, and works until told to stop."""


def together(works: Sequence[Work], stopping: threading.Event) -> float:
    """Run each in a thread; the seconds from when all wait for each other to the last one's end.

    Args:
        works: What to run.
        stopping: Set where we are ended, by Ctrl-C or SIGTERM; then they are waited for: no runtime
            may lose its process in the middle of a call.

    Raises:
        BaseException: The first that one of them raised.
    """
    gate = threading.Barrier(len(works) + 1)
    failures: list[BaseException] = []

    def run(work: Work) -> None:
        try:
            work(gate.wait)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
            failures.append(error)
            gate.abort()

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        with suppress(threading.BrokenBarrierError):
            gate.wait()
        begun = time.perf_counter()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begun
    except BaseException:
        stopping.set()
        gate.abort()
        for thread in threads:
            thread.join()
        raise
    if failures:
        barrier = threading.BrokenBarrierError
        real = [error for error in failures if not isinstance(error, barrier)]
        raise (real or failures)[0]
    return seconds
