"""A progress bar on a terminal, a line now and then in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lprc.cli.say import say

Progress = Callable[[float, int], None]
"""Called with the number of steps done and the number in all."""

SECONDS = 10.0
"""Between two lines in a pipe; work that is shorter says nothing there."""


@contextmanager
def reporter(description: str, *, quiet: bool = False) -> Iterator[Progress | None]:
    """Yield a function that moves a bar on standard error; None where that is not wanted.

    Where standard error is no terminal it writes a line every `SECONDS` instead.
    """
    if quiet:
        yield None
        return
    if not sys.stderr.isatty():
        yield _lines(description)
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(description: str) -> Progress:
    told = time.monotonic()

    def tell(done: float, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= SECONDS:
            told = time.monotonic()
            say(f"{description}: {int(done)} of {total}", err=True)

    return tell
