"""What ONNX shape inference held against a model when it was read.

Such a model is not refused: files declare stale shapes, and the legacy exporter of torch writes a
MaxPool that ``legalize`` repairs. But no pass promises to get along with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx_ir as ir

from lprc.core.errors import InvalidModelError, LprcError

_KEY = "lprc.contradiction"
"""In the graph's `meta`, which copies of a model take along, and files do not."""


def remember_contradiction(model: ir.Model, complaint: str | None) -> None:
    """Keep with `model` what is wrong about its shapes, in one line; None where nothing is."""
    if complaint is not None:
        model.graph.meta[_KEY] = complaint


def contradiction(model: ir.Model) -> str | None:
    """What was remembered of `model`; passes may put another graph in its place, so ask before."""
    complaint: str | None = model.graph.meta.get(_KEY)
    return complaint


@contextmanager
def contradictions_blamed(complaint: str | None, who: str) -> Iterator[None]:
    """Say of what `who` stumbles over in the block that the model contradicts itself, if it does.

    Raises:
        InvalidModelError: In the place of any exception that is none of ours.
    """
    try:
        yield
    except (LprcError, MemoryError, OSError):
        raise
    except Exception as error:
        if complaint is None:
            raise
        raise InvalidModelError(
            f"{who} fails on a graph that contradicts itself: {complaint}"
        ) from error
