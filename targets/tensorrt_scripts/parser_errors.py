"""The nodes that TensorRT's ONNX parser refuses. Stands alone: it is copied into kits."""

from __future__ import annotations

import re
from typing import Any


def refused(parser: Any) -> list[dict[str, Any]]:
    """The nodes that a parser refuses: index, name, operator and message each."""
    errors = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        errors.append(
            {
                "index": error.node(),
                "name": error.node_name(),
                "operator": error.node_operator(),
                "message": plain(error.desc()),
            }
        )
    if errors or not hasattr(parser, "num_subgraphs"):
        return errors
    return [
        {"index": node, "name": "", "operator": "", "message": "not supported"}
        for graph in range(parser.num_subgraphs)
        if not parser.is_subgraph_supported(graph)
        for node in parser.get_subgraph_nodes(graph)
    ]


def plain(text: str) -> str:
    """A parser's message without the condition that failed."""
    text = text.removeprefix("Assertion failed: ")
    said = re.search(r'&& "([^"]+)"\s*$', text) or re.search(r"^[^:]*[(=<>][^:]*: (.+)", text, re.S)
    if said is not None:
        text = said[1]
    return "no such operator" if text in ("false", "") else text
