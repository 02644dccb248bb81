"""Runs of the command line in forked children, which need no second to import everything."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from lprc.cli import main
from lprc.core.passing.pass_registry import pass_class, pass_names
from lprc.core.process.warm_child import VENDOR

WARM = (
    "onnx", "onnxruntime", "onnx.version_converter", "lprc.compiler.compile.model",
    "lprc.compiler.compile.optimize", "lprc.compiler.project.run_builds", "lprc.cli.compile_command",
    "lprc.cli.opt_command", "lprc.cli.sweep_command", "lprc.cli.embed_command",
    "lprc.cli.build_command", "lprc.cli.cache_command", "lprc.cli.verify_command",
    "lprc.cli.explain_command", "lprc.cli.inspect_command", "lprc.cli.finetune_command",
    "lprc.compiler.training.finetune",
)  # fmt: skip


def warm_up() -> None:
    """Import what commands do, before children are forked."""
    for name in WARM:
        importlib.import_module(name)
    for name in pass_names():
        pass_class(name)


@dataclass(frozen=True)
class Surroundings:
    """Where a run finds everything.

    Attributes:
        folder: Its current folder.
        cache: Its cache's.
        scratch: Where temporary files go.
    """

    folder: Path
    cache: Path
    scratch: Path


@dataclass
class Run:
    """A run that has begun.

    Attributes:
        pid: Its process, which leads a session of its own.
        said: The file of what it writes.
    """

    pid: int
    said: Path

    def wait(self, seconds: float = 120.0) -> int | None:
        """The exit code, negative for a signal; None where it does not end, and is killed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None

    def companions(self) -> list[int]:
        """Processes of its session that are alive."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid and fields[0] not in "ZX":
                    found.append(int(entry.name))
        return found


def start(arguments: list[str], where: Surroundings) -> Run:
    """Begin `lprc` with `arguments` in a child; its output goes to a file of `where.scratch`."""
    said = where.scratch.parent / "said.txt"
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = _run(arguments, where, said)
        except KeyboardInterrupt:
            code = 130  # when the command was done
        finally:
            os._exit(code)
    return Run(pid, said)


def _run(arguments: list[str], where: Surroundings, said: Path) -> int:
    os.setsid()
    os.chdir(where.folder)
    os.environ.update(
        HOME=str(where.folder), TMPDIR=str(where.scratch), LPRC_CACHE_DIR=str(where.cache)
    )
    os.environ.pop("LPRC_NO_CACHE", None)
    handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = 70
    try:
        main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except KeyboardInterrupt:
        code = 130  # in the moment before or after `main`
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    VENDOR.close()  # as at the end of a program; what else is to be done there is our parent's
    return code


def run(arguments: list[str], where: Surroundings) -> tuple[int | None, str]:
    """Run to the end: the exit code, and what it said."""
    where.scratch.mkdir(parents=True, exist_ok=True)
    begun = start(arguments, where)
    code = begun.wait()
    text = begun.said.read_text(encoding="utf-8", errors="replace") if begun.said.exists() else ""
    return code, text
