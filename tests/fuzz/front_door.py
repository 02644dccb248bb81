"""A command line run in this process, and whether it ended as `docs/exit-codes.md` promises."""

from __future__ import annotations

import contextlib
import io
import os
import re
import traceback
from dataclasses import dataclass
from pathlib import Path

from lprc.cli import main

DOCUMENTED = {0, 2, 3, 4, 5, 6, 7, 8, 9, 71}
ANSWERS = {"diff": {0, 1, 2}, "bisect": {0, 2, 3, 5}}
"""Commands that answer a question with their exit code."""


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    Attributes:
        code: Its exit code.
        out: What it printed.
        err: What it said.
        wrong: What it must not do; empty where all is well.
    """

    code: int
    out: str
    err: str
    wrong: str = ""


def run(arguments: list[str], scratch: Path) -> Ending:
    """Run `lprc` with `arguments`; outputs go below `scratch` only.

    Args:
        arguments: The command line.
        scratch: A folder that is empty but for the inputs.
    """
    before = set(scratch.iterdir())
    out, err = io.StringIO(), io.StringIO()
    code, trace = 70, "did not exit"
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
            cause = ended.__context__  # what the internal error is
            trace = "".join(traceback.format_exception(cause)) if code == 70 and cause else ""
    wrong = _wrong(arguments[0], code, err.getvalue(), trace)
    if not wrong and code != 0 and (arguments[0], code) != ("diff", 1):
        wrong = _left_over(before, scratch)
    return Ending(code, out.getvalue(), err.getvalue(), wrong)


def _wrong(command: str, code: int, err: str, trace: str) -> str:
    if trace:
        return f"exit 70: {_place(trace)}"
    allowed = ANSWERS.get(command, set()) | DOCUMENTED
    if code not in allowed:
        return f"exit {code}"
    if code in (0, 1) or (command, code) == ("bisect", 5):
        return ""
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    if len(lines) != 1 and "Usage:" not in err:
        return f"exit {code} with {len(lines)} lines of error"
    if not all(text.isprintable() for text in err.splitlines()):
        return "control characters in a message"
    return ""


def _place(trace: str) -> str:
    """Where an exception comes from: its kind, its text without numbers, our last line."""
    ours = re.findall(r'File ".*?/((?:lprc|passes|targets)/[^"]*)", line \d+, in (\w+)', trace)
    last = trace.strip().splitlines()[-1]
    where = f"{ours[-1][0]}:{ours[-1][1]}" if ours else "elsewhere"
    return f"{where}: {re.sub(r'[0-9]+', '#', last)[:160]}"


def _left_over(before: set[Path], scratch: Path) -> str:
    left = sorted(path.name for path in set(scratch.iterdir()) - before)
    left = [name for name in left if not name.endswith(".broken")]
    return f"left behind: {', '.join(left)}" if left else ""


def alone(arguments: list[str], scratch: Path, seconds: float) -> str:
    """What is wrong with a run in a child of its own, which it may end; for shrinking."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        wrong = "could not be run"
        with contextlib.suppress(BaseException):
            wrong = run(arguments, scratch).wrong
        os.write(writer, wrong.encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        import select
        import signal

        ready, _, _ = select.select([stream], [], [], seconds)
        if not ready:
            os.kill(pid, signal.SIGKILL)
        text = stream.read().decode()
    _, status = os.waitpid(pid, 0)
    if not ready:
        return "does not end"
    code = os.waitstatus_to_exitcode(status)
    return text if code == 0 else f"ended with {code}"
