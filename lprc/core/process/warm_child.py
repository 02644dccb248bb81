"""A process that stays, in which vendor code runs that may crash, hang or eat the memory."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import threading
from typing import Any

from lprc.core.process.child_start import Child, start
from lprc.core.process.frames import FrameError, read_frame, write_frame
from lprc.core.process.worker import WorkerError, signal_name

TIME_LIMIT_VARIABLE = "LPRC_RUN_SECONDS"
DEFAULT_TIME_LIMIT = 300.0
_LONGEST_POLL = 2**31 - 1
"""Milliseconds: an int of C."""


def time_limit() -> float:
    """Seconds that one call may take: of the environment's variable, or the default."""
    text = os.environ.get(TIME_LIMIT_VARIABLE, "")
    try:
        seconds = float(text)
    except ValueError:
        return DEFAULT_TIME_LIMIT
    return seconds if seconds > 0 else DEFAULT_TIME_LIMIT


class ChildError(WorkerError):
    """The process ended, or had to be ended, in a call.

    Attributes:
        expired: Whether the call took too long; else the process ended by itself.
    """

    def __init__(self, what: str, *, expired: bool, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.expired = expired


class RefusedError(Exception):
    """Vendor code raised; its text, and its kind as ``module.Class``."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


class WarmChild:
    """One such process, started before or at the first call, and again after it died.

    Calls come from several threads one after another. A process that was forked from ours gets a
    child of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._child: Child | None = None
        self._owner = 0
        self.generation = 1
        """Counts the processes: what one of them holds is gone with it. See `start`."""

    def start(self) -> None:
        """Start it, if it does not run; it imports what it needs while we go on.

        Who relies on what the process holds looks at `generation` behind this.
        """
        with self._lock:
            if self._child is not None and self._owner == os.getpid():
                if self._child.exit_code(wait=False) is None:
                    return
                self._forget()
            self._owner = os.getpid()
            self._child = start()

    def call(self, function: str, *arguments: Any, limit: float | None = None) -> Any:
        """What ``module:function`` of ours returns for `arguments` there.

        Args:
            function: A function of lprc.
            arguments: JSON types, bytes and arrays.
            limit: Seconds; None takes `time_limit`.

        Raises:
            ChildError: The process died, or took too long and was ended.
            RefusedError: The function raised.
        """
        allowed = time_limit() if limit is None else limit
        with self._lock:
            self.start()
            assert self._child is not None
            child, expired = self._child, False
            try:
                write_frame(child.requests, [function, list(arguments)])
                expired = not _has_reply(child, allowed)
                if expired:
                    child.kill()
                reply = read_frame(child.replies)
            except (FrameError, OSError) as error:
                child.kill()
                code = child.exit_code(wait=True)
                self._forget()
                raise _ended(code or 0, allowed, expired=expired) from error
            if "refused" in reply:
                raise RefusedError(reply["kind"], reply["refused"])
            return reply["result"]

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._child is not None and self._owner == os.getpid():
                self._child.kill()
                self._child.exit_code(wait=True)
            self._forget()

    def _forget(self) -> None:
        if self._child is not None:
            self.generation += 1
            for stream in (self._child.requests, self._child.replies):
                with contextlib.suppress(OSError):  # what was not sent yet
                    stream.close()
        self._child = None


VENDOR = WarmChild()
"""The one that this process shares; it is ended with it."""

atexit.register(VENDOR.close)


def _has_reply(child: Child, seconds: float) -> bool:
    """Wait for the first byte of a reply, or the end of the process; whether there is one.

    Not by a timer, which is a thread for each call: the child writes once vendor code is done.
    """
    waiting = select.poll()
    waiting.register(child.replies, select.POLLIN)
    return bool(waiting.poll(min(seconds * 1000, _LONGEST_POLL)))


def _ended(code: int, allowed: float, *, expired: bool) -> ChildError:
    if expired:
        more = f"{TIME_LIMIT_VARIABLE}=SECONDS allows more"
        return ChildError(f"took more than {allowed:g} s", expired=True, hint=more)
    if code >= 0:
        return ChildError(f"ended its process with code {code}", expired=False)
    hint = "most often memory is at its end" if -code == signal.SIGKILL else None
    return ChildError(f"crashed ({signal_name(code)})", expired=False, hint=hint)
