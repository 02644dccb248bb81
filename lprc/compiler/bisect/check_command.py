"""A command of the user's that judges an ONNX file."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from pathlib import Path

import onnx_ir as ir

from lprc.compiler.bisect.conditions import Judgement, Verdict, WholePipeline
from lprc.compiler.bisect.prefixes import Candidate
from lprc.core.errors import UsageError
from lprc.core.onnx_io.model_io import save

WHERE = "--check"
SKIP = 125
"""The exit code of a check that can't judge, as of ``git bisect run``."""


class CheckCommand(WholePipeline):
    """Runs a command on a graph's file: 0 is good, 1 to 127 bad, 125 can't be judged.

    No shell is involved: the text is split as a shell would split it, and ``{}`` then becomes the
    path, whatever characters that holds. The command runs in the current folder.

    Args:
        text: The command, with ``{}`` for the path of the ONNX file.
        timeout: Seconds after which it is ended, and the graph can't be judged.

    Raises:
        UsageError: No command, no ``{}``, or quotes that are not closed.
    """

    def __init__(self, text: str, timeout: float | None = None) -> None:
        try:
            self._words = shlex.split(text)
        except ValueError as error:
            raise UsageError(f"can't be read: {error}", where=WHERE, option=WHERE) from error
        if not self._words or not any("{}" in word for word in self._words[1:]):
            raise UsageError(
                "has no {} for the path of the ONNX file",
                where=WHERE,
                hint="for instance --check 'python check.py {}'",
                option=WHERE,
            )
        self.text = f"`{text}` exits with 0"
        self.command = text
        self._timeout = timeout

    def judge(self, candidate: Candidate, start: Candidate) -> Judgement:
        """Write the graph to a scratch folder and run the command on it.

        Raises:
            UsageError: There is no such command, or it was ended by a signal.
        """
        return self.judge_model(candidate.model)

    def judge_model(self, model: ir.Model) -> Judgement:
        """The same for a graph that no pipeline made; raises the same."""
        with tempfile.TemporaryDirectory(prefix="lprc-bisect-") as folder:
            path = Path(folder) / "candidate.onnx"
            save(model, path)
            words = [self._words[0], *(word.replace("{}", str(path)) for word in self._words[1:])]
            code, said = self._run(words)
        if code is None:
            return Judgement(Verdict.UNKNOWN, f"not done after {self._timeout:g} s")
        detail = f"exit code {code}{f': {said}' if said else ''}"
        if code < 0 or code > 127:
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise UsageError(
                f"'{words[0]}' ended by {name}, which says nothing about the graph",
                where=WHERE,
                hint="let it exit with 0 for good, 1 for bad, 125 for can't be judged",
                option=WHERE,
            )
        if code == SKIP:
            return Judgement(Verdict.UNKNOWN, detail)
        return Judgement(Verdict.GOOD if code == 0 else Verdict.BAD, detail)

    def _run(self, words: list[str]) -> tuple[int | None, str]:
        """The exit code, or None where time was up, and the last line of what it said."""
        try:
            process = subprocess.Popen(  # noqa: S603  # the user's own command, and no shell
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(
                f"can't run '{words[0]}': {error.strerror}",
                where=WHERE,
                hint="no shell is involved; use sh -c '…' for one",
                option=WHERE,
            ) from error
        try:
            said, _ = process.communicate(timeout=self._timeout)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:
            _end(process)
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        return process.returncode, lines[-1][:200] if lines else ""


def _end(process: subprocess.Popen[str]) -> None:
    """End the command and what it started, if it has not ended by itself."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
