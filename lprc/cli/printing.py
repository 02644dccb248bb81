"""``--print-changed``, ``--print-before`` and ``--print-after``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lprc.core.printable import printable

if TYPE_CHECKING:
    from lprc.core.graph_diff.text import Line
    from lprc.core.instruments.print_changes import Printing

F = TypeVar("F", bound=Callable[..., Any])

_CHANGED = "--print-changed"
_COLOURS = {"+": "green", "-": "red", "~": "yellow", "=": "dim"}


class PrintingCommand(click.Command):
    """A command where ``--print-changed`` may stand without a value.

    click would take the next argument, which may be the model, for its value.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, after the value that stands for none is written out."""
        end = args.index("--") if "--" in args else len(args)
        given = [f"{_CHANGED}=diff" if arg == _CHANGED else arg for arg in args[:end]]
        return super().parse_args(ctx, given + args[end:])


def printing_options(function: F) -> F:
    """The three options; `printing` makes of them what the compiler takes."""
    for option in (
        click.option(
            "--print-after",
            multiple=True,
            metavar="PASS",
            help="Print the model after this pass.",
        ),
        click.option(
            "--print-before",
            multiple=True,
            metavar="PASS",
            help="Print the model before this pass.",
        ),
        click.option(
            _CHANGED,
            type=click.Choice(["diff", "quiet", "summary"]),
            metavar="[=diff|quiet|summary]",
            help="Print what each pass changed; quiet leaves out passes that changed nothing.",
        ),
    ):
        function = option(function)
    return function


def printing(
    changed: Any, before: tuple[str, ...], after: tuple[str, ...], *, to_stderr: bool
) -> Printing | None:
    """What to print and where; None for nothing.

    Args:
        changed: The mode of ``--print-changed``, which click has checked; None for none.
        before: Passes to print the model before.
        after: Passes to print the model after.
        to_stderr: Whether standard output is taken by a JSON document.
    """
    if changed is None and not before and not after:
        return None
    from lprc.core.instruments.print_changes import Printing

    return Printing(line_writer(to_stderr=to_stderr), changed, before, after)


def line_writer(*, to_stderr: bool = False) -> Callable[[Line], None]:
    """A function that prints lines of a difference, coloured on a terminal."""
    from rich.text import Text

    from lprc.cli.console import PipedConsole

    output = PipedConsole(stderr=to_stderr, highlight=False)

    def write(line: Line) -> None:
        # Text, not markup: names come from other people's models.
        output.print(Text(printable(line.text), style=_COLOURS.get(line.sign, "")), soft_wrap=True)

    return write
