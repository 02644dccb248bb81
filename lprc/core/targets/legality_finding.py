"""What a check of a graph finds, and what checks look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir

from lprc.core.graph import editing

Finding = tuple[str, str]
"""Where a rule is broken, and a detail that follows the rule's message."""

Check = Callable[..., Iterator[Finding]]
"""Called with the model and the rule's parameters by name."""


def nodes(model: ir.Model) -> Iterator[ir.Node]:
    """All nodes of the main graph, then those of the graphs inside it."""
    for graph in editing.graphs(model):
        yield from graph
