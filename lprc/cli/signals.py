"""Signals that end us, as exceptions: what is half-written is removed on the way out."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_MOMENT = 0.01
"""Seconds."""

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
    hook, sys.unraisablehook = sys.unraisablehook, _deliver_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _deliver_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Let a signal come again that came in a finaliser, where nothing can be raised."""
    error = unraisable.exc_value
    if isinstance(error, TerminatedError):
        number = error.exit_code - 128
    elif isinstance(error, KeyboardInterrupt):
        number = int(signal.SIGINT)
    else:
        sys.__unraisablehook__(unraisable)
        return
    # Not at once: we are still in the finalisation.
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
    signal.setitimer(signal.ITIMER_REAL, _MOMENT)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise TerminatedError(number)
