"""Read ``lprc.toml`` strictly: an unknown key is an error with a line and a suggestion."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lprc.compiler.project.searches import refuse_contradictions
from lprc.core.errors import UsageError
from lprc.core.files.toml_text import read_toml, toml_table

if TYPE_CHECKING:
    from lprc.compiler.project.schema import File
    from lprc.core.files.checked import Problem

FILE = "lprc.toml"


def find_project(start: Path) -> Path:
    """The ``lprc.toml`` in `start` or the nearest folder above it.

    Raises:
        UsageError: There is none.
    """
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        if (candidate / FILE).is_file():
            return candidate / FILE
    raise UsageError(
        f"no {FILE} here or above", where=str(start), hint="--project FILE names one; docs/build.md"
    )


def read_text(path: Path) -> str:
    """The file's text.

    Raises:
        UsageError: It can't be read.
    """
    try:
        return read_toml(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"can't be read: {error}", where=str(path), path=path) from error


def parse(text: str, where: str) -> File:
    """What the file says.

    Args:
        text: Its text.
        where: What to call it in errors.

    Raises:
        UsageError: Not TOML, or a key that is missing, unknown or ill-typed.
    """
    table = toml_table(text, where=where, error=UsageError)
    from pydantic import ValidationError

    from lprc.compiler.project.schema import File
    from lprc.core.files.checked import first_problem

    try:
        file = File.model_validate(table)
    except ValidationError as error:
        raise _complaint(first_problem(error, File), text, where) from error
    _refuse_unknown_models(file, text, where)
    refuse_contradictions(file, lambda path: _place(path, text, where))
    return file


def _complaint(problem: Problem, text: str, where: str) -> UsageError:
    """The same with the line where it stands."""
    table = f"[{'.'.join(problem.path)}]" if problem.path else "the file"
    if problem.key is None:
        message = f"'{'.'.join(problem.path)}': {problem.message}"
        return UsageError(message, where=_place(problem.path, text, where), hint=problem.hint)
    if problem.unknown_key:
        message = f"{table} has an unknown key '{problem.key}'"
        place = _place([*problem.path, problem.key], text, where)
        return UsageError(message, where=place, hint=problem.hint, option=problem.key)
    return UsageError(f"{table} has no '{problem.key}'", where=_place(problem.path, text, where))


def _refuse_unknown_models(file: File, text: str, where: str) -> None:
    """Refuse builds of a model that the file does not have.

    Raises:
        UsageError: Naming the first.
    """
    for name, table in file.build.items():
        for model in [table.model] if isinstance(table.model, str) else table.model:
            if model not in file.model:
                close = difflib.get_close_matches(model, file.model, n=1)
                guess = f"did you mean '{close[0]}'? " if close else ""
                raise UsageError(
                    f"'build.{name}.model': there is no [model.{model}]",
                    where=_place(["build", name, "model"], text, where),
                    hint=f"{guess}known: {', '.join(file.model) or 'none'}",
                )


_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?\Z")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+(?:\s*\.\s*[A-Za-z0-9_\"'-]+)*)\s*=")


def _place(path: Sequence[str], text: str, where: str) -> str:
    """`where` with the line of a key or of its table, where a simple look at the text finds it."""
    wanted = list(path)
    while wanted:
        line = _line(wanted, text)
        if line is not None:
            return f"{where}:{line}"
        wanted.pop()
    return where


def _line(wanted: list[str], text: str) -> int | None:
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header is not None:
            table = _parts(header[1])
            if table == wanted:
                return number
        elif key is not None and [*table, *_parts(key[1])] == wanted:
            return number
    return None


def _parts(text: str) -> list[str]:
    return [part.strip().strip("\"'") for part in text.split(".")]
