"""A command run in a child of this process: what this one has imported is there already."""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

PRELOADED = (
    "numpy", "onnx", "onnx_ir", "onnxruntime", "openvino", "lprc.cli.compile_command",
    "lprc.compiler.compile.model", "lprc.compiler.artifact.artifact",
)  # fmt: skip
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        code: Its exit code, less than 0 for a signal, None where it was stopped at its limit.
        output: What it wrote to standard output.
        errors: What it wrote to standard error.
    """

    code: int | None
    output: str
    errors: str


def preload() -> None:
    """Import once what every child needs; none of it starts threads that a fork would lose."""
    for name in PRELOADED:
        import_module(name)


def run_forked(
    line: Sequence[str], folder: Path, surroundings: Mapping[str, str], limit: float
) -> Ended:
    """Run ``-m MODULE …`` or ``FILE …`` as ``python`` would, in a group of processes of its own.

    Args:
        line: What stands behind ``python`` on a command line.
        folder: The working directory; standard output and error are kept in files there.
        surroundings: Environment variables that differ from this process's.
        limit: Seconds until the whole group is ended.
    """
    output, errors = folder / ".output", folder / ".errors"
    child = os.fork()
    if child == 0:
        os._exit(_inside(line, folder, surroundings, output, errors))
    code = _wait(child, limit)
    # Workers of the command's own must not outlive it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if code is None:
        os.waitpid(child, 0)
    return Ended(code, output.read_text(errors="replace"), errors.read_text(errors="replace"))


def _wait(child: int, limit: float) -> int | None:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_SECONDS)
    return None


def _inside(
    line: Sequence[str], folder: Path, surroundings: Mapping[str, str], output: Path, errors: Path
) -> int:
    """The child: its exit code, with everything that it says in files."""
    os.setsid()
    os.chdir(folder)
    os.environ.update(surroundings)
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY
    for number, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, flags), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Streams of its own: this process's may be replaced, or hold what it has not written yet.
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    try:
        if line[0] == "-m":
            sys.argv = list(line[1:])
            runpy.run_module(line[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(line)
            runpy.run_path(line[0], run_name="__main__")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - a child must never go on as its parent
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
