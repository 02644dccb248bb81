"""Start processes as a user's shell does, whatever the tests were started from."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""``nohup``, and a shell that starts something in the background, have some of them ignored."""


@cache
def _home() -> Path:
    """A home, a folder for scratch and one to be in, all empty; not in any test's own folder."""
    home = Path(tempfile.mkdtemp(prefix="lprc-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for name in ("home", "tmp", "cwd"):
        (home / name).mkdir()
    return home


def start(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **more: Any,
) -> subprocess.Popen[Any]:
    """Start a process with default signals and a home, scratch and current folder of its own.

    Args:
        command: The program and its arguments.
        environment: Variables besides ours.
        cwd: Where it runs; by default an empty folder.
        more: For `subprocess.Popen`.
    """
    folders = {"HOME": str(_home() / "home"), "TMPDIR": str(_home() / "tmp")}
    return subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, **folders, **(environment or {})},
        cwd=cwd or _home() / "cwd",
        preexec_fn=_default_signals,
        **more,
    )


def run(
    command: Sequence[str | Path], *, timeout: float = 600, **more: Any
) -> subprocess.CompletedProcess[str]:
    """The same until it ends; with its standard output and error as text."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    with start(command, **streams) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        finally:
            process.kill()
    return subprocess.CompletedProcess(list(command), process.returncode, output, errors)


def run_lprc(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return run([sys.executable, "-m", "lprc", *arguments], **more)


def _default_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
