"""Read ``lprc.toml`` strictly: an unknown key is an error with a line and a suggestion."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lprc.core.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from lprc.compiler.project.schema import File

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
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't be read: {error}", where=str(path), path=path) from error


def parse(text: str, where: str) -> File:
    """What the file says.

    Args:
        text: Its text.
        where: What to call it in errors.

    Raises:
        UsageError: Not TOML, or a key that is missing, unknown or ill-typed.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not TOML: {error}", where=where) from error
    from pydantic import ValidationError

    from lprc.compiler.project.schema import File

    try:
        return File.model_validate(table)
    except ValidationError as error:
        raise _complaint(error.errors(include_url=False), text, where) from error


def _complaint(errors: Sequence[Mapping[str, Any]], text: str, where: str) -> UsageError:
    """The first thing that is wrong."""
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    path = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return _unknown_key(path, text, where)
    if first["type"] == "value_error":
        return _unknown_model(str(first["ctx"]["error"]), text, where)
    if first["type"] == "missing":
        return UsageError(
            f"[{'.'.join(path[:-1])}] has no '{path[-1]}'", where=_place(path[:-1], text, where)
        )
    key = [part for part in path if part not in _BRANCHES]
    message = first["msg"].removeprefix("Input ")
    return UsageError(f"'{'.'.join(key)}': {message}", where=_place(key, text, where))


_BRANCHES = ("str", "int", "float", "bool", "[key]")
"""How pydantic calls the alternatives of a union, and a table's key."""


def _unknown_key(path: list[str], text: str, where: str) -> UsageError:
    known_keys = _known_keys(path[:-1])
    close = difflib.get_close_matches(path[-1], known_keys, n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    table = f"[{'.'.join(path[:-1])}]" if path[:-1] else "the file"
    return UsageError(
        f"{table} has an unknown key '{path[-1]}'",
        where=_place(path, text, where),
        hint=f"{guess}known: {', '.join(known_keys)}",
        option=path[-1],
    )


def _unknown_model(message: str, text: str, where: str) -> UsageError:
    key, _, name = message.partition("\0")
    known = list(tomllib.loads(text).get("model", {}))
    close = difflib.get_close_matches(name, known, n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    return UsageError(
        f"'{key}': there is no [model.{name}]",
        where=_place(key.split("."), text, where),
        hint=f"{guess}known: {', '.join(known) or 'none'}",
    )


def _known_keys(path: list[str]) -> list[str]:
    from lprc.compiler.project.schema import BuildTable, File, ModelTable, ProjectTable, Table

    tables: dict[str, type[Table]] = {
        "project": ProjectTable,
        "model": ModelTable,
        "build": BuildTable,
    }
    owner = tables[path[0]] if path else File
    return [field.alias or name for name, field in owner.model_fields.items()]


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
