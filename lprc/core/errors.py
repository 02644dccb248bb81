"""Errors that lprc raises on purpose, and the exit code each one ends the command line with.

Every error says what was wrong, where (file, node, pass or option) and what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class LprcError(Exception):
    """Base of all errors that lprc raises on purpose.

    Args:
        message: What was wrong, in one line.
        where: The file, node (with its source name), pass or option it was found at.
        hint: What to do next, in one line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class UsageError(LprcError):
    """An option, pipeline text or argument that lprc does not understand."""

    exit_code = 2


class InvalidModelError(LprcError):
    """A model file that is missing, unreadable, malformed or not valid ONNX."""

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
