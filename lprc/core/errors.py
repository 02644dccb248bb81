"""Errors that lprc raises on purpose, and the exit code each one ends the command line with.

Every error says what was wrong, where (file, node, pass or option) and what to do next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from lprc.core.printable import printable


class LprcError(Exception):
    """Base of all errors that lprc raises on purpose; they can be pickled and copied.

    Args:
        message: What was wrong, in one line.
        where: The file, node (with its source name), pass or option it was found at.
        hint: What to do next, in one line.
        node: The name of the node that is to blame; None where no one node is.
        pass_name: The name of the pass that is to blame, or that was at work.
        option: The option that is to blame, as users spell it.
        path: The file or folder that is to blame.
    """

    exit_code: ClassVar[int] = 1
    _may_have_lines: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        node: str | None = None,
        pass_name: str | None = None,
        option: str | None = None,
        path: Path | None = None,
    ) -> None:
        # Names from other people's files stand in all three.
        message = printable(message, lines=self._may_have_lines)
        super().__init__(message)
        self.message = message
        self.where = None if where is None else printable(where)
        self.hint = None if hint is None else printable(hint)
        self.node = node
        self.pass_name = pass_name
        self.option = option
        self.path = path

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def document(self) -> dict[str, Any]:
        """As JSON data: the fields that are known, the class and the exit code."""
        fields = {key: value for key, value in vars(self).items() if value is not None}
        if self.path is not None:
            fields["path"] = str(self.path)
        return {"error": type(self).__name__, "exit_code": self.exit_code, **fields}


class MachineError(LprcError):
    """Memory, open files or a folder that the machine does not give."""

    exit_code = 71


class UsageError(LprcError):
    """An option, pipeline text or argument that lprc does not understand."""

    exit_code = 2
    _may_have_lines = True  # a pipeline's text with a mark below it


class InvalidModelError(LprcError):
    """A model or artefact that is missing, unreadable, malformed, altered or not valid ONNX."""

    exit_code = 3


class IllegalForTargetError(LprcError):
    """A lowered graph that breaks one of the target's legality rules."""

    exit_code = 4


class PromiseBrokenError(LprcError):
    """A pass or an emitter whose result differs from its input by more than its contract allows."""

    exit_code = 5


class AccuracyError(LprcError):
    """An accuracy, latency or size that misses what the user asked for."""

    exit_code = 6


class MissingDependencyError(LprcError):
    """A backend or SDK that is not installed; the hint is the install command."""

    exit_code = 7


class DataError(LprcError):
    """Images, labels, alphabets or checkpoints that can't be used."""

    exit_code = 8


class OutputError(LprcError):
    """An output that can't be written; nothing half-written is left behind."""

    exit_code = 9
