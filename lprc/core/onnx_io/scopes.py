"""Whether every node reads what a node before it, an input or an initialiser gives."""

from __future__ import annotations

import graphlib

import onnx

from lprc.core.errors import InvalidModelError
from lprc.core.onnx_io.bodies import Body, node_label, short_label, subgraphs


def check_names(proto: onnx.ModelProto, where: str) -> None:
    """Refuse a node that reads what no node before it makes, and say which of three it is."""
    _check_scope(proto.graph, _declared(proto.graph), where)
    for function in proto.functions:
        _check_scope(function, set(function.input), f"{where}: function '{function.name}'")


def _declared(graph: onnx.GraphProto) -> set[str]:
    return {
        *(value.name for value in graph.input),
        *(tensor.name for tensor in graph.initializer),
        *(tensor.values.name for tensor in graph.sparse_initializer),
    }


def _check_scope(body: Body, visible: set[str], where: str) -> None:
    """Check `body`; `visible` are the names that it may use, its own inputs among them."""
    body_outputs = []
    for node in body.node:
        for name in node.input:
            if name and name not in visible:
                raise _missing(body, node, name, where)
        for inner in subgraphs(node):
            fresh = _declared(inner) - visible
            visible |= fresh
            _check_scope(inner, visible, where)
            visible -= fresh
        fresh_outputs = [name for name in node.output if name not in visible]
        visible.update(fresh_outputs)
        body_outputs += fresh_outputs
    # The caller's scope does not see what a subgraph makes.
    visible.difference_update(body_outputs)


def _missing(body: Body, node: onnx.NodeProto, name: str, where: str) -> InvalidModelError:
    place = f"{where}: {node_label(node)}"
    producers = {output: index for index, other in enumerate(body.node) for output in other.output}
    if name not in producers:
        return InvalidModelError(f"nothing makes its input '{name}'", where=place)
    sorter: graphlib.TopologicalSorter[int] = graphlib.TopologicalSorter()
    for index, other in enumerate(body.node):
        sorter.add(index, *(producers[used] for used in other.input if used in producers))
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        cycle = " <- ".join(short_label(body.node[index]) for index in error.args[1][:6])
        return InvalidModelError(f"the graph has a cycle: {cycle}", where=place)
    return InvalidModelError(
        f"its input '{name}' is made by a later node, {node_label(body.node[producers[name]])}",
        where=place,
        hint="ONNX wants nodes in topological order",
    )
