"""How much memory activations need if nodes run in graph order."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.sizes import Sizes


def peak_bytes(graph: ir.Graph, sizes: Sizes) -> int:
    """The most bytes of inputs and activations that are alive at once; weights do not count.

    Each value lives from the node that makes it to the last that reads it; graph inputs from the
    start, graph outputs to the end. No memory is shared between a node's inputs and outputs. A
    node with subgraphs needs what the largest of them needs, once, on top.
    """
    last_use = _last_uses(graph)
    frees: dict[ir.Node, list[ir.Value]] = {}
    for value, node in last_use.items():
        frees.setdefault(node, []).append(value)
    held = sum(sizes.nbytes(value) for value in graph.inputs if not value.is_initializer())
    peak = held
    for node in graph:
        if editing.is_op(node, "Constant"):
            continue
        held += sum(sizes.nbytes(value) for value in node.outputs if value.name)
        inner = (peak_bytes(body, sizes) for body in _bodies(node))
        peak = max(peak, held + max(inner, default=0))
        unused = [value for value in node.outputs if value.name and value not in last_use]
        for value in (*frees.get(node, ()), *unused):
            if not value.is_graph_output():
                held -= sizes.nbytes(value)
    return peak


def _last_uses(graph: ir.Graph) -> dict[ir.Value, ir.Node]:
    """For each activation of `graph` the last node of it that reads it, in a subgraph or not."""
    found: dict[ir.Value, ir.Node] = {}
    for node in graph:
        for value in _read(node):
            if value.graph is graph and not _is_constant(value):
                found[value] = node
    return found


def _read(node: ir.Node) -> Iterator[ir.Value]:
    """What `node` and the nodes in its subgraphs read."""
    yield from (value for value in node.inputs if value is not None)
    for body in _bodies(node):
        yield from (value for value in body.outputs if value is not None)
        for inner in body:
            yield from _read(inner)


def _is_constant(value: ir.Value) -> bool:
    return value.is_initializer() or editing.is_op(value.producer(), "Constant")


def _bodies(node: ir.Node) -> Iterator[ir.Graph]:
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.value
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.value
