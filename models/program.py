"""The commands that are run as modules, as ``python -m lprc.models.train``."""

from __future__ import annotations

from typing import Any

import click

from lprc.core.errors import LprcError


class _Failure(click.ClickException):
    """An error that lprc raised on purpose, as click ends a command with it."""

    def __init__(self, error: LprcError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]


class Program(click.Command):
    """Ends the errors that lprc raises on purpose as one line and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """As of click."""
        try:
            return super().invoke(ctx)
        except LprcError as error:
            raise _Failure(error) from error
