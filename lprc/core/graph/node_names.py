"""Nodes that an option names, by their own names or by those of their source nodes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph.provenance import origins


def check_names(graph: ir.Graph, names: Iterable[str], where: str) -> None:
    """Refuse a name that no node of `graph` has and none came from.

    Raises:
        UsageError: There is such a name; the hint is the nearest that there is.
    """
    wanted = list(names)
    if not wanted:
        return
    existing_names = {
        name for node in graph for name in (node.name, *origins(node)) if name is not None
    }
    for name in wanted:
        if name not in existing_names:
            close = difflib.get_close_matches(name, existing_names, n=1)
            guess = f"did you mean '{close[0]}'?" if close else "`lprc opt -v` shows the names"
            raise UsageError(f"no node is called '{name}'", where=where, hint=guess)
