"""Options that say what a model is run on, and at which sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from lprc.cli.common import PathArgument

F = TypeVar("F", bound=Callable[..., Any])


def input_options(fixed: bool) -> Callable[[F], F]:
    """``--inputs``, ``--input-shape`` and ``--dim``.

    Args:
        fixed: Whether ``--input-shape`` is written into the graph.
    """
    shape_help = "Fix the shape of an input in the graph" if fixed else "The shape of an input"

    def decorate(function: F) -> F:
        inputs = click.option(
            "--inputs",
            type=PathArgument,
            help="Arrays named as the inputs to run on: an .npz, an .npy or a folder of them.",
        )
        shapes = click.option(
            "--input-shape",
            "input_shapes",
            multiple=True,
            metavar="[NAME:]1,3,640,640",
            help=f"{shape_help}; ? leaves a size open. Repeatable.",
        )
        dims = click.option(
            "--dim",
            "dims",
            multiple=True,
            metavar="NAME=640",
            help="A symbolic dimension's size in made-up inputs only. Repeatable.",
        )
        return inputs(shapes(dims(function)))

    return decorate
