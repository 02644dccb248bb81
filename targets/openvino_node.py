"""Which node of a graph OpenVINO's importer refuses, where its message does not say."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import onnx

SECONDS = 60.0
"""How long beginnings of the graph are tried."""


def refused_node(model: onnx.ModelProto, refuses: Callable[[bytes], bool]) -> str:
    """The name of the first node whose addition to the beginning of the graph is refused.

    Args:
        model: The graph, its weights inside.
        refuses: Whether the importer refuses a graph.

    Returns:
        The node's name; empty where it has none, time runs out or no beginning is refused.
    """
    nodes = list(model.graph.node)
    deadline = time.monotonic() + SECONDS
    good, bad = 0, len(nodes)
    while bad - good > 1 and time.monotonic() < deadline:
        middle = (good + bad) // 2
        if refuses(_beginning(model, nodes[:middle])):
            bad = middle
        else:
            good = middle
    if bad - good != 1 or not refuses(_beginning(model, nodes[:bad])):
        return ""
    return str(nodes[bad - 1].name)


def _beginning(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> bytes:
    """The graph of `nodes`, which puts out all that none of them reads."""
    beginning = onnx.ModelProto()
    beginning.CopyFrom(model)
    del beginning.graph.node[:], beginning.graph.output[:]
    beginning.graph.node.extend(nodes)
    read = {name for node in nodes for name in _read(node)}
    types = {info.name: info for info in [*model.graph.value_info, *model.graph.output]}
    beginning.graph.output.extend(
        types.get(name, onnx.ValueInfoProto(name=name))
        for node in nodes
        for name in node.output
        if name and name not in read
    )
    data: bytes = beginning.SerializeToString()
    return data


def _read(node: onnx.NodeProto) -> list[str]:
    """Names that a node and the graphs inside it read."""
    names = list(node.input)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            names += [name for inner in graph.node for name in _read(inner)]
            names += [output.name for output in graph.output]
    return names
