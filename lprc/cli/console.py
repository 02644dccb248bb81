"""What commands print: tables for people on standard output, notes on standard error, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lprc.cli.documents import print_document
from lprc.cli.say import say
from lprc.core.printable import printable


class PipedConsole(Console):
    """As rich's, but a reader that has gone is an error like others, not an exit with code 1."""

    def on_broken_pipe(self) -> None:
        """Leave it to `lprc.cli.root.main`; called while the error is handled."""
        raise  # noqa: PLE0704 - rich calls this in its handler of BrokenPipeError


def stdout() -> Console:
    """A console for results; plain and unwrapped where standard output is no terminal."""
    console = PipedConsole(highlight=False)
    if not console.is_terminal:
        # A pipe has no width; tables must not be folded at an invented one.
        console = PipedConsole(highlight=False, width=1000)
    return console


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A plain table; a column whose title starts with ``>`` is right-aligned."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column.startswith(">")
        grid.add_column(
            column.lstrip(">"), justify="right" if right else "left", no_wrap=right, overflow="fold"
        )
    for row in rows:
        # Text, not markup: names come from other people's models.
        grid.add_row(*(Text(printable(cell)) for cell in row))
    return grid


def facts(rows: Sequence[tuple[str, str]]) -> Table:
    """A table of two columns without titles: what, and what it is."""
    grid = table(["", ""], rows)
    grid.show_header = False
    return grid


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    print_document(document)


def note(message: str) -> None:
    """Tell the user something on standard error."""
    say(message, err=True)


def size_text(size: int) -> str:
    """A size in bytes as people read it: ``1.71 MB`` (powers of ten)."""
    if size < 1000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1000:.1f} kB"
    return f"{size / 1_000_000:.2f} MB"


def shorten(text: str, width: int) -> str:
    """`text` cut to `width` characters."""
    return text if len(text) <= width else text[: width - 1] + "…"
