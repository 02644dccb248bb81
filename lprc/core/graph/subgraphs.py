"""Graphs inside of nodes: what they capture, and their nodes moved out of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from lprc.core.graph import editing


def bodies(node: ir.Node) -> Iterator[ir.Graph]:
    """The graphs that are attributes of `node`; not those inside of them."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def values_read(node: ir.Node) -> Iterator[ir.Value]:
    """What a node computes from: its inputs, and all that the graphs inside of it read."""
    yield from (value for value in node.inputs if value is not None)
    for graph in bodies(node):
        # A graph may put out what it captures without any node.
        yield from graph.outputs
        for inner in graph.all_nodes():
            yield from (value for value in inner.inputs if value is not None)


def release_captured(node: ir.Node) -> None:
    """Let the graphs inside of a dead node use nothing of the outer graphs any more."""
    for graph in bodies(node):
        for inner_node in graph.all_nodes():
            for index in range(len(inner_node.inputs)):
                inner_node.replace_input_with(index, None)


def move_out(body: ir.Graph, before: ir.Node) -> tuple[list[ir.Node], Sequence[ir.Value]]:
    """Move all that is in `body` in front of the node that it belongs to.

    Args:
        body: A graph without inputs, whose names are unique in the whole model. Nothing is left.
        before: The node.

    Returns:
        The nodes that were moved, and what the outputs of `body` were.
    """
    graph, outputs = before.graph, list(body.outputs)
    assert isinstance(graph, ir.Graph)
    body.outputs.clear()
    for name, value in list(body.initializers.items()):
        del body.initializers[name]
        graph.register_initializer(value)
    nodes = list(body)
    for node in nodes:
        body.remove(node)
        graph.insert_before(before, node)
    return nodes, outputs


def make_names_unique(body: ir.Graph, name_counts: dict[str, int]) -> None:
    """Give what is in `body` other names where the model has the same more than once.

    Args:
        body: Its nodes and values; not the graphs inside of it.
        name_counts: How often the model has each name, as `count_names` says.
    """
    for value in list(body.initializers.values()):
        if name_counts.get(value.name or "", 0) > 1:
            value.name = editing.fresh_name(body, value.name or "")
    for node in body:
        holders: list[ir.Node | ir.Value] = [node, *node.outputs]
        for holder in holders:
            if name_counts.get(holder.name or "", 0) > 1:
                holder.name = editing.fresh_name(body, holder.name or "")


def count_names(model: ir.Model) -> dict[str, int]:
    """How often each name of a node or value occurs; a node may be called as a value is."""
    nodes: dict[str, int] = {}
    values: dict[str, int] = {}
    for graph in editing.graphs(model):
        own = [value.name for value in graph.inputs] + list(graph.initializers)
        for name in dict.fromkeys(own):
            values[name or ""] = values.get(name or "", 0) + 1
        for node in graph:
            nodes[node.name or ""] = nodes.get(node.name or "", 0) + 1
            for value in node.outputs:
                values[value.name or ""] = values.get(value.name or "", 0) + 1
    return {name: max(nodes.get(name, 0), values.get(name, 0)) for name in nodes | values if name}
