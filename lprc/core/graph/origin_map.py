"""Origins for a graph that came back from a tool which does not keep them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.provenance import KEY, inherit, origins, set_origins

_MOST = 1000
"""The most vanished nodes that are followed for one node: constants may come from thousands."""


class OriginMap:
    """What is known of a model's nodes by name, kept while a tool rewrites a copy of it.

    A node that comes back has the origins of the node that had its name, of the one that made its
    output, and of those in front of that whose values are gone: they are part of it now. One that
    is new under all names comes from what it feeds or, where that is new too, from what feeds it.
    """

    def __init__(self, model: ir.Model) -> None:
        nodes = list(model.graph.all_nodes())
        named = Counter(node.name for node in nodes if node.name)
        self._by_name = {node.name: node for node in nodes if named[node.name or ""] == 1}
        self._by_output = {value.name: node for node in nodes for value in node.outputs}
        self._origins = {id(node): origins(node) for node in nodes}
        self._inputs = {
            id(node): [value.name for value in node.inputs if value is not None] for node in nodes
        }
        self._metadata = {id(node): dict(node.metadata_props) for node in nodes}

    def restore(self, model: ir.Model) -> None:
        """Give all nodes of the rewritten `model` their origins, and other metadata by name."""
        nodes = list(model.graph.all_nodes())
        present = set(_value_names(model))
        for node in nodes:
            node.metadata_props.pop(KEY, None)
            same = self._by_name.get(node.name)
            if same is not None:
                node.metadata_props.update(self._metadata[id(same)])
                node.metadata_props.pop(KEY, None)
            sources = [*([] if same is None else [same]), *self._replaced(node, present)]
            if sources:
                set_origins(
                    node, (name for source in sources for name in self._origins[id(source)])
                )
        for node in reversed(nodes):
            _inherit(node, (user for value in node.outputs for user in value.consumers()))
        for node in nodes:
            values = (value for value in node.inputs if value is not None)
            _inherit(node, (value.producer() for value in values))

    def _replaced(self, node: ir.Node, present: set[str]) -> list[ir.Node]:
        """The old nodes between the values that `node` makes and those that still exist."""
        replaced: dict[int, ir.Node] = {}
        pending = [value.name for value in node.outputs if value.name]
        while pending and len(replaced) < _MOST:
            old = self._by_output.get(pending.pop())
            if old is None or id(old) in replaced:
                continue
            replaced[id(old)] = old
            pending += [name for name in self._inputs[id(old)] if name and name not in present]
        return list(reversed(replaced.values()))


def _value_names(model: ir.Model) -> Iterator[str]:
    for graph in editing.graphs(model):
        yield from (value.name for value in graph.inputs if value.name)
        yield from graph.initializers
        for node in graph:
            yield from (value.name for value in node.outputs if value.name)


def _inherit(node: ir.Node, neighbours: Iterable[ir.Node | None]) -> None:
    if KEY not in node.metadata_props:
        known = [each for each in neighbours if each is not None and KEY in each.metadata_props]
        if known:
            inherit(node, known[:1])
