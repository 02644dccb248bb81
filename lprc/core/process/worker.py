"""Vendor code in a process of its own: a crash there, or its lack of memory, is not ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lprc.core.errors import LprcError
from lprc.core.process.machine_memory import machine_memory
from lprc.core.process.python_process import module_command, module_environment

Progress = Callable[[float, int], None]


class WorkerError(LprcError):
    """Vendor code that failed, crashed or took too long."""

    exit_code = 4


def run_worker(
    vendor: str,
    arguments: Sequence[str],
    *,
    where: str,
    time_limit: float,
    complaint: Path,
    more_time: str = "-O time-limit=SECONDS allows more",
    progress: Progress | None = None,
    show_messages: bool = False,
    environment: Mapping[str, str] | None = None,
) -> bool:
    """Run a module with `arguments` until it ends, or we do, as of `python_process`.

    Lines of JSON with ``step`` and ``steps`` on its standard output are its progress. Its standard
    input ends when our process does, however that ends; see `end_with_parent`.

    Args:
        vendor: Whose code it is, for errors.
        arguments: The module and what it is told, with absolute paths: it runs in the folder of
            `complaint`.
        where: What it works on, for errors.
        time_limit: Seconds.
        complaint: A file that it writes where it knows itself what is wrong.
        more_time: What to do where the time is too short.
        progress: Called with steps done and their number.
        show_messages: Whether its standard error is ours; else it is told of only if it fails.
        environment: Variables besides our own.

    Returns:
        Whether it has done its work; if not, `complaint` is there.

    Raises:
        WorkerError: It crashed, took too long, or failed in a way that it did not foresee.
    """
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(  # noqa: S603 - our own module
            module_command(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if show_messages else messages,
            cwd=complaint.parent,  # whatever vendor code drops there goes with it
            env=module_environment(environment),
        )
        try:
            expired = _follow(process, time_limit, progress)
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()
        if expired:
            raise WorkerError(
                f"{vendor} took more than {time_limit:g} s",
                where=where,
                hint=more_time,
            )
        if process.returncode == 0 or complaint.is_file():
            return process.returncode == 0
        messages.seek(0)
        raise _crash(vendor, process.returncode, messages.read(), where)


def end_with_parent() -> None:
    """In a worker: end when the process that started it does, whatever ends that one."""

    def watch() -> None:
        while os.read(0, 4096):  # not sys.stdin, whose lock Python wants when it ends
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _follow(process: subprocess.Popen[bytes], limit: float, progress: Progress | None) -> bool:
    """Read what it says until it ends; whether it had to be stopped."""
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        process.kill()

    timer = threading.Timer(limit, stop)
    timer.daemon = True
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            step = _step(line)
            if step is not None and progress is not None:
                progress(*step)
        process.wait()
    finally:
        timer.cancel()
    return expired.is_set()


def _step(line: bytes) -> tuple[float, int] | None:
    """A progress message; None for whatever else vendor code writes."""
    try:
        document = json.loads(line)
        return float(document["step"]), int(document["steps"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _crash(vendor: str, code: int, messages: bytes, where: str) -> WorkerError:
    lines = messages.decode("utf-8", "replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
    if code >= 0:
        return WorkerError(f"{vendor} failed: {last[:300]}", where=where)
    name = signal_name(code)
    hint = f"its last words: {last[:300]}"
    if -code == signal.SIGKILL:
        hint = f"most often memory is at its end; {_memory()}"
    return WorkerError(f"{vendor} was ended by {name}", where=where, hint=hint)


def signal_name(code: int) -> str:
    """The signal that ended a process with the negative exit code `code`."""
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"


def _memory() -> str:
    return f"this machine has {machine_memory() / 2**30:.0f} GiB"
