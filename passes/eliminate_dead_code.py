"""Nodes, initialisers and functions that no output needs."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing, subgraphs
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class EliminateDeadCode(Pass):
    """Remove the nodes, initialisers, functions and operator sets that no graph output needs.

    Enters subgraphs. Graph inputs stay, used or not: they are the signature. Functions stay as
    they are inside.
    """

    name = "eliminate-dead-code"
    contract = exact_everywhere

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Sweep each graph once from its end, inner graphs before the outer ones."""
        graphs = list(editing.graphs(model))
        for graph in reversed(graphs):
            for node in reversed(graph):
                dead = not any(value.uses() or value.is_graph_output() for value in node.outputs)
                if dead and context.rewrite(node, "nothing uses it"):
                    subgraphs.release_captured(node)
                    graph.remove(node, safe=True)
        for graph in graphs:
            _remove_initializers(graph, context)
        _remove_functions(model, context)
        _remove_opsets(model, context)


def _remove_initializers(graph: ir.Graph, context: PassContext) -> None:
    for value in list(graph.initializers.values()):
        if value.uses() or value.is_graph_output() or value.is_graph_input():
            continue
        if context.rewrite(None, f"nothing uses {value.name}"):
            editing.remove_dead_initializer(value)


def _remove_functions(model: ir.Model, context: PassContext) -> None:
    pending = list(model.graph.all_nodes()) if model.functions else []
    called = set()
    while pending:
        identifier = pending.pop().op_identifier()
        if identifier in model.functions and identifier not in called:
            called.add(identifier)
            pending.extend(model.functions[identifier].all_nodes())
    unused = [identifier for identifier in model.functions if identifier not in called]
    if unused and context.rewrite(None, f"{len(unused)} functions are never called"):
        for identifier in unused:
            del model.functions[identifier]


def _remove_opsets(model: ir.Model, context: PassContext) -> None:
    imports = model.graph.opset_imports
    used = {*editing.ONNX_DOMAIN, *(node.domain for node in model.graph.all_nodes())}
    used.update(domain for function in model.functions.values() for domain in [function.domain])
    used.update(node.domain for function in model.functions.values() for node in function)
    for domain in [domain for domain in imports if domain not in used]:
        if context.rewrite(None, f"no operator is from {domain}"):
            del imports[domain]
