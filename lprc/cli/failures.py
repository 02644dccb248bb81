"""How errors are told: one line and a hint on standard error, with ``--json`` a document, too."""

from __future__ import annotations

import errno
import os
from typing import Any

import click

from lprc.cli.documents import print_error
from lprc.cli.say import say
from lprc.core.errors import LprcError, MachineError, UsageError

INTERNAL_ERROR = 70


def tell(error: LprcError, *, as_json: bool) -> int:
    """Tell a user, or a script, what went wrong; the exit code.

    Args:
        error: What went wrong.
        as_json: Whether standard output gets `LprcError.document`, in one line.
    """
    where = f"{error.where}: " if error.where else ""
    say(f"error: {where}{error.message}", err=True)
    if error.hint:
        say(f"hint: {error.hint}", err=True)
    if as_json:
        _print_document(error.document())
    return error.exit_code


def tell_internal(error: Exception, *, as_json: bool) -> int:
    """As `tell`, of what nobody thought of."""
    summary = next(iter(str(error).splitlines()), "")
    message, hint = f"{type(error).__name__}: {summary}", "run it again with --debug and report it"
    say(f"internal error: {message}", err=True)
    say("hint: run it again with --debug and report the traceback", err=True)
    if as_json:
        _print_document({
            "error": "InternalError", "exit_code": INTERNAL_ERROR, "message": message, "hint": hint,
        })  # fmt: skip
    return INTERNAL_ERROR


def usage_error(error: click.ClickException) -> UsageError:
    """What click found wrong with the command line, as one of our errors."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "lprc"
    return UsageError(
        error.format_message().replace("\n", " "),
        where=command,
        hint=f"`{command} --help` shows what there is",
    )


def machine_error(error: MemoryError | OSError) -> MachineError:
    """What the machine refused, as one of our errors."""
    if isinstance(error, MemoryError):
        return MachineError("not enough memory", hint="a smaller batch or fewer samples need less")
    reason = error.strerror or str(error)
    place = error.filename if isinstance(error.filename, (str, bytes)) else None
    hint = "`ulimit -n` allows more" if error.errno in (errno.EMFILE, errno.ENFILE) else None
    return MachineError(reason, where=None if place is None else os.fsdecode(place), hint=hint)


def _print_document(document: dict[str, Any]) -> None:
    try:
        print_error(document)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone; the code tells
