"""Text for people: whatever it quotes, no control character of it reaches the terminal."""

from __future__ import annotations

import click

from lprc.core.printable import printable


def say(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print `text` on standard output or, with `err`, on standard error."""
    click.echo(printable(text, lines=True), err=err, nl=nl)  # noqa: TID251 - the one place
