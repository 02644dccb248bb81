"""The process of `lprc.core.process.warm_child`: calls functions of lprc until its input ends."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lprc.core.process.frames import FrameError, read_frame, write_frame
from lprc.core.process.machine_memory import machine_memory

_WATCH = 0.5
"""Seconds between two looks whether the process that started us is still there."""


def serve(parent: int) -> None:
    """Read calls from descriptor 0, write what they return to 1; until 0 ends or `parent` does."""
    # Ctrl-C is for the process that started us, which ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory()
    _die_first()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    with os.fdopen(os.dup(0), "rb") as requests, os.fdopen(os.dup(1), "wb") as replies:
        # What vendor code prints would be taken for a reply, and reads for a call.
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.close(nothing)
        sys.stdin = sys.stdout = sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        while True:
            try:
                function, arguments = read_frame(requests)
            except FrameError:
                return
            write_frame(replies, _reply(function, arguments))


def _reply(function: str, arguments: list[Any]) -> dict[str, Any]:
    module, _, name = function.partition(":")
    try:
        return {"result": getattr(importlib.import_module(module), name)(*arguments)}
    except Exception as error:  # noqa: BLE001 - vendors' exceptions share no base of their own
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        return {"refused": str(error), "kind": kind}


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH)
    os._exit(1)


def _limit_memory() -> None:
    """An allocation beyond the machine's memory fails here, before the kernel chooses a victim."""
    total = machine_memory()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = total if hard == resource.RLIM_INFINITY else min(total, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


def _die_first() -> None:
    """Where memory is at its end all the same, the kernel ends this process, not who started it."""
    with contextlib.suppress(OSError):  # no Linux
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    serve(os.getppid())
