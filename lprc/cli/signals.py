"""Signals that end us, as exceptions: what is half-written is removed on the way out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGTERM", "SIGHUP")
"""What ends a process besides SIGINT, which Python turns into KeyboardInterrupt itself."""


class TerminatedError(BaseException):
    """A signal asked us to end.

    No `Exception`, like KeyboardInterrupt: nothing may catch it for a failure and go on.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        """As shells count: 143 for SIGTERM, 129 for SIGHUP."""


@contextmanager
def signals_raised() -> Iterator[None]:
    """Turn `NAMES` into `TerminatedError` in the block, in the main thread.

    One that was ignored before, as SIGHUP is under ``nohup``, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = {}
    for name in NAMES:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            before[number] = signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise TerminatedError(number)
