"""Where commands write: refused, before any work, where that would lose something."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from lprc.cli.common import PathArgument
from lprc.core.errors import OutputError, UsageError
from lprc.core.files.names import LONGEST


class OutputType(click.Path):
    """The type of an option that names what is written."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """The path, whose last part has to be a name.

        Raises:
            UsageError: It is empty.
            OutputError: It is this folder, a root or one above, or its name is too long.
        """
        where = _option(param) if param is not None else None
        if not os.fspath(value):
            raise UsageError("it is empty", where=where, hint="name a file or a folder")
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path.name in ("", ".."):
            raise OutputError(
                f"'{path}' has no name of its own", where=where, hint="name a file or folder in it"
            )
        if len(os.fsencode(path.name)) > LONGEST:
            raise OutputError(f"its name has more than {LONGEST} bytes", where=where)
        return path


OutputArgument = OutputType()

_JUDGED_ELSEWHERE = frozenset({"--dump-dir"})
"""`lprc.core.instruments.snapshots.check_folder` refuses it inside of outputs too."""


def check_outputs() -> None:
    """Refuse outputs of the current command that are its inputs, or one another.

    Raises:
        OutputError: Naming both options.
    """
    context = click.get_current_context()
    outputs: list[tuple[str, Path]] = []
    for option, path in _paths(context, OutputArgument):
        for other, taken in [*_paths(context, PathArgument), *outputs]:
            if _same(path, taken):
                raise OutputError(
                    f"'{path}' is {other} too, and would be lost", where=option, hint="name another"
                )
        outputs.append((option, path))


def _paths(context: click.Context, kind: click.Path) -> Iterator[tuple[str, Path]]:
    for param in context.command.params:
        value = context.params.get(param.name or "")
        if _JUDGED_ELSEWHERE.intersection(param.opts):
            continue
        if param.type is kind and value is not None:
            for path in value if isinstance(value, tuple) else (value,):
                yield _option(param), path


def _option(param: click.Parameter) -> str:
    return param.opts[-1] if isinstance(param, click.Option) else str(param.human_readable_name)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one of them is not there yet
        return one.absolute() == other.absolute()
