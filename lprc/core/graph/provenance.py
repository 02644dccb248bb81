"""Where a node came from: the names of the source nodes, kept through every rewrite."""

from __future__ import annotations

import json
from collections.abc import Iterable
from json.encoder import encode_basestring

import onnx_ir as ir

KEY = "lprc.origin"
"""The key in a node's ``metadata_props``; its value is a JSON list of source node names."""


def origins(node: ir.Node) -> tuple[str, ...]:
    """The names of the source nodes that `node` came from; its own name if it is one itself."""
    text = node.metadata_props.get(KEY)
    if text is None:
        return (node.name,) if node.name else ()
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        return (node.name,) if node.name else ()
    if isinstance(names, list):
        return tuple(name for name in names if isinstance(name, str))
    return ()


def stamp(model: ir.Model) -> None:
    """Name every node, and give each that has no origin its own name as its origin."""
    bodies: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for body in bodies:
        nodes = list(body.all_nodes())
        taken = {node.name for node in nodes}
        for number, node in enumerate(nodes):
            if not node.name:
                node.name = _free_name(f"{node.op_type}_{number}", taken)
            if KEY not in node.metadata_props:
                set_origins(node, (node.name,))


def _free_name(name: str, taken: set[str | None]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def set_origins(node: ir.Node, names: Iterable[str]) -> None:
    """Record that `node` came from the source nodes `names`."""
    # As json.dumps(…, ensure_ascii=False) writes it, which makes an encoder for each call.
    texts = map(encode_basestring, dict.fromkeys(names))
    node.metadata_props[KEY] = f"[{', '.join(texts)}]"


def inherit(node: ir.Node, sources: Iterable[ir.Node]) -> None:
    """Record that `node` came from all that `sources` came from, besides its own origins."""
    own = origins(node) if KEY in node.metadata_props else ()
    set_origins(node, (*own, *(name for source in sources for name in origins(source))))


def describe(node: ir.Node) -> str:
    """The node's name for an error message, with its source names where they differ."""
    name = node.name or f"an unnamed {node.op_type}"
    came_from = tuple(origin for origin in origins(node) if origin != node.name)
    if not came_from:
        return f"node '{name}' ({node.op_type})"
    return f"node '{name}' ({node.op_type}, from {', '.join(came_from)})"
