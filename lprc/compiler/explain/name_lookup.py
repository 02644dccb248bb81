"""What a name in an artefact is: a node, a source node, a value or a layer of the engine."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Literal

import onnx_ir as ir

from lprc.compiler.artifact.engine_layers import EngineLayer
from lprc.compiler.artifact.pass_log import Event
from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.graph.provenance import origins
from lprc.core.printable import printable
from lprc.core.quantization.qdq import qdq

Match = Literal["node", "value", "source node", "engine layer", "vanished node"]
"""What a name turned out to be; a vanished node is one that only the log still knows."""


def find_name(
    name: str,
    model: ir.Model,
    nodes: list[ir.Node],
    layers: list[EngineLayer],
    events: list[Event],
    where: str,
) -> tuple[Match, list[ir.Node]]:
    """What `name` is, and the nodes of the lowered graph that it is about, in graph order.

    Args:
        name: What to look for.
        model: The lowered graph.
        nodes: Its nodes, those in subgraphs too.
        layers: Of the engine.
        events: What passes did; they know nodes that are gone.
        where: What to call the model in errors.

    Raises:
        UsageError: Nothing has that name.
    """
    matched = [node for node in nodes if node.name == name]
    if matched:
        return "node", matched
    matched = [node for node in nodes if name in origins(node)]
    if matched:
        # The Q/DQ that were put around it say nothing that it does not say itself.
        return "source node", [node for node in matched if qdq(node) is None] or matched
    value = next((value for value in _values(model, nodes) if value.name == name), None)
    if value is not None:
        producer = value.producer()
        users = dict.fromkeys(node for node, _ in value.uses())
        return "value", [producer] if producer is not None else list(users)
    wanted = {node for layer in layers if layer.name == name for node in layer.nodes}
    if wanted:
        return "engine layer", [node for node in nodes if node.name in wanted]
    if any(name == event.node or name in event.origins for event in events):
        return "vanished node", []
    raise _unknown(name, _names(model, nodes, layers, events), where)


def _values(model: ir.Model, nodes: list[ir.Node]) -> Iterator[ir.Value]:
    for graph in editing.graphs(model):
        yield from graph.inputs
        yield from graph.initializers.values()
    for node in nodes:
        yield from node.outputs


def _names(
    model: ir.Model, nodes: list[ir.Node], layers: list[EngineLayer], events: list[Event]
) -> set[str]:
    known = {name for node in nodes for name in (node.name, *origins(node)) if name}
    known.update(value.name for value in _values(model, nodes) if value.name)
    known.update(layer.name for layer in layers)
    known.update(name for event in events for name in (event.node, *event.origins) if name)
    return known


def _unknown(name: str, known: set[str], where: str) -> UsageError:
    ordered = sorted(known)
    inside = [each for each in ordered if name.casefold() in each.casefold()]
    close = list(dict.fromkeys([*difflib.get_close_matches(name, ordered, n=3), *inside[:3]]))[:3]
    quoted = " or ".join(f"'{printable(each)}'" for each in close)
    return UsageError(
        f"no node, value or engine layer is called '{name}'",
        where=where,
        hint=f"did you mean {quoted}?" if close else "`lprc inspect --layers` lists the layers",
    )
