"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

PathArgument = click.Path(path_type=Path)

SEED = click.IntRange(0, 2**63 - 1)
"""The seeds that every generator of random numbers takes."""


def debug_option(function: F) -> F:
    """``--debug``: tracebacks instead of one line."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,  # `lprc.cli.root.main` looks for it before anything else runs
        help="Show tracebacks.",
    )(function)


def json_option(function: F) -> F:
    """``--json``: one JSON document on standard output instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(
        function
    )


def quiet_option(function: F) -> F:
    """``-q``: errors only."""
    return click.option("-q", "--quiet", is_flag=True, help="Print errors only.")(function)


def verbose_option(function: F) -> F:
    """``-v``: more detail."""
    return click.option("-v", "--verbose", is_flag=True, help="Print more detail.")(function)


def verify_option(default: str) -> Callable[[F], F]:
    """``--verify off|final|each``."""
    return click.option(
        "--verify",
        type=click.Choice(["off", "final", "each"]),
        default=default,
        show_default=True,
        help="Run the graph before and after in ONNX Runtime: never, once, or for each pass.",
    )


def task_option(function: F) -> F:
    """``--task``: what the model is for. ``--plates`` is what the first release called it."""
    return click.option(
        "--task",
        "--plates",
        "task",
        metavar="NAME|FILE",
        help="What the model is for: lprnet, synthetic, segmentation, ... or a file of `lprc task "
        "new`. [default: the artefact's own, or by model]",
    )(function)


def threads_option(function: F) -> F:
    """``--threads``: CPU threads of the runtime."""
    return click.option(
        "--threads",
        type=click.IntRange(min=1),
        help="CPU threads of the runtime.  [default: all cores]",
    )(function)
