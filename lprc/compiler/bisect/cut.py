"""A few nodes of a graph as a graph of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.running.numerics import Arrays, Session


def cut(model: ir.Model, keep: Collection[int], arrays: Arrays) -> ir.Model | None:
    """A copy of `model` with some nodes of its main graph only.

    What the others made and these use becomes an input; what these made and the others or the
    caller used becomes an output. Names stay.

    Args:
        model: The graph; it is not changed.
        keep: The nodes by their place in the main graph.
        arrays: Values by name, for the types of those that have none.

    Returns:
        None where an input would have no known type, or nothing would come out.
    """
    copy = model.clone()
    graph = copy.graph
    nodes = list(graph)
    kept, kept_ids = _inside(nodes, keep)
    outputs = [value for node in kept for value in node.outputs if _leaves(value, kept_ids)]
    inputs = [value for value in graph.inputs if _is_used(value, kept_ids)]
    graph.outputs.clear()
    for index, node in enumerate(nodes):
        for value in node.outputs if index not in keep else ():
            if not _is_used(value, kept_ids):
                continue
            fed = _as_input(value, arrays)
            if fed is None:
                return None
            value.name = None
            ir.convenience.replace_all_uses_with(value, fed)
            inputs.append(fed)
    graph.remove([node for index, node in enumerate(nodes) if index not in keep])
    graph.outputs.extend(outputs)
    for value in outputs:
        _complete(value, arrays)
    for value in list(graph.inputs):
        if value not in inputs:
            graph.inputs.remove(value)
    graph.inputs.extend(value for value in inputs if not value.is_graph_input())
    for value in list(graph.initializers.values()):
        editing.remove_dead_initializer(value)
    return copy if outputs else None


def owners(model: ir.Model) -> dict[int, int]:
    """The place in the main graph of the node that holds each node, by the node's ``id``."""
    found = {}
    for index, node in enumerate(model.graph):
        for inner in (node, *_nested(node)):
            found[id(inner)] = index
    return found


def neighbours(model: ir.Model) -> list[set[int]]:
    """For each node of the main graph, those that make what it uses or use what it makes."""
    owner = owners(model)
    neighbours_of: list[set[int]] = [set() for _ in model.graph]
    for index, node in enumerate(model.graph):
        for value in node.outputs:
            for use in value.uses():
                other = owner.get(id(use.node), index)
                if other != index:
                    neighbours_of[index].add(other)
                    neighbours_of[other].add(index)
    return neighbours_of


def values_around(model: ir.Model, keep: Collection[int]) -> list[str]:
    """The names of all that some nodes of the main graph use or make, constants left out."""
    names: dict[str, None] = {}
    node_outputs = {value.name for node in model.graph for value in node.outputs}
    node_outputs |= {value.name for value in model.graph.inputs if not value.is_initializer()}
    for index, node in enumerate(model.graph):
        if index not in keep:
            continue
        for inner in (node, *_nested(node)):
            used = (value.name for value in inner.inputs if value is not None)
            names.update((name, None) for name in used if name and name in node_outputs)
        names.update((value.name, None) for value in node.outputs if value.name)
    return list(names)


class Capture:
    """Runs a graph for the values inside it.

    Args:
        model: The graph; it is not changed.
        names: Values of its main graph.

    Raises:
        RunError: ONNX Runtime can't load it.
    """

    def __init__(self, model: ir.Model, names: Collection[str]) -> None:
        copy = model.clone()
        fed = (value.name for value in copy.graph.inputs if value.name)
        self._inputs = [name for name in fed if name in names]
        values = ir.convenience.create_value_mapping(copy.graph, include_subgraphs=False)
        wanted = [values[name] for name in names if name not in self._inputs]
        outputs = list(wanted or copy.graph.outputs)
        copy.graph.outputs.clear()
        copy.graph.outputs.extend(outputs)
        self._session = Session(copy)

    def run(self, inputs: Arrays) -> Arrays:
        """The values by name, inputs among them.

        Raises:
            RunError: The graph does not run on these inputs.
        """
        found = self._session.run(inputs)
        return {**found, **{name: inputs[name] for name in self._inputs if name in inputs}}


def _inside(nodes: list[ir.Node], keep: Collection[int]) -> tuple[list[ir.Node], set[int]]:
    kept = [node for index, node in enumerate(nodes) if index in keep]
    return kept, {id(inner) for node in kept for inner in (node, *_nested(node))}


def _nested(node: ir.Node) -> Iterator[ir.Node]:
    """The nodes of a node's subgraphs, at any depth."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield from attribute.value.all_nodes()
        elif attribute.type == ir.AttributeType.GRAPHS:
            for graph in attribute.value:
                yield from graph.all_nodes()


def _is_used(value: ir.Value, inside: set[int]) -> bool:
    return any(id(use.node) in inside for use in value.uses())


def _leaves(value: ir.Value, inside: set[int]) -> bool:
    """Whether anything outside sees `value`."""
    return value.is_graph_output() or any(id(use.node) not in inside for use in value.uses())


def _as_input(value: ir.Value, known: Arrays) -> ir.Value | None:
    fed = ir.Value(name=value.name, type=value.type, shape=value.shape)
    fed.metadata_props.update(value.metadata_props)
    _complete(fed, known)
    return None if fed.type is None else fed


def _complete(value: ir.Value, arrays: Arrays) -> None:
    """Give `value` the type and shape that it was seen to have, where it has none."""
    array = arrays.get(value.name or "")
    if not isinstance(array, np.ndarray):
        return
    if value.type is None:
        string = array.dtype == object or array.dtype.kind in "US"
        dtype = ir.DataType.STRING if string else ir.DataType.from_numpy(array.dtype)
        value.type = ir.TensorType(dtype)
    if value.shape is None:
        value.shape = ir.Shape(array.shape)
