"""What ``lprc build`` and ``lprc clean`` share: which project, which builds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lprc.cli.common import PathArgument
from lprc.core.errors import UsageError

if TYPE_CHECKING:
    from lprc.compiler.project.plan import Build

F = TypeVar("F", bound=Callable[..., Any])


def project_options(function: F) -> F:
    """``-C DIR`` and ``--project FILE``."""
    folder = click.option(
        "-C", "folder", type=PathArgument, metavar="DIR", help="Look for lprc.toml from here."
    )
    file = click.option(
        "--project", type=PathArgument, metavar="FILE", help="Instead of lprc.toml."
    )
    return folder(file(function))


@dataclass(frozen=True)
class Opened:
    """A project that was read.

    Attributes:
        file: Its file.
        root: Its folder, from which paths in it start.
        builds: All its builds.
    """

    file: Path
    root: Path
    builds: list[Build]


def check_pipeline_files(names: Sequence[str], folder: Path | None, project: Path | None) -> None:
    """Check that pipelines' files are named alone, without what is for lprc.toml.

    Raises:
        UsageError: They are not.
    """
    other = next((name for name in names if not name.endswith(".toml")), None)
    if other is not None:
        raise UsageError(
            f"'{other}' is a build of lprc.toml, and the others are pipeline files",
            hint="name them in a command of its own",
        )
    if folder is not None or project is not None:
        raise UsageError("is for builds of lprc.toml", where="-C" if folder else "--project")


def open_project(folder: Path | None, project: Path | None) -> Opened:
    """Read the project that the options name, or the nearest one.

    Raises:
        UsageError: There is none, or it is not right.
    """
    from lprc.compiler.project.plan import plan
    from lprc.compiler.project.read import find_project, parse, read_text

    if folder is not None and project is not None:
        raise UsageError("names the folder already", where="--project", hint="leave -C out")
    path = project if project is not None else find_project(folder or Path())
    shown = path.name if project is None else str(path)
    builds = plan(parse(read_text(path), shown), shown)
    return Opened(path, path.resolve().parent, builds)
