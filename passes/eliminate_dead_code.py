"""Nodes, initialisers and functions that no output needs."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedFunctionsPass

from lprc.core import editing
from lprc.core.contract import exact
from lprc.core.pass_base import Pass, PassContext


@dataclass(frozen=True)
class EliminateDeadCode(Pass):
    """Remove the nodes, initialisers and functions that no graph output needs.

    Enters subgraphs. Graph inputs stay, used or not: they are the signature.
    """

    name = "eliminate-dead-code"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Sweep each graph once from its end, inner graphs after the outer ones."""
        for graph in editing.graphs(model):
            for node in list(reversed(graph)):
                dead = not any(value.uses() or value.is_graph_output() for value in node.outputs)
                if dead and context.rewrite(node, "nothing uses it"):
                    graph.remove(node, safe=True)
        for graph in editing.graphs(model):
            for value in list(graph.initializers.values()):
                if value.uses() or value.is_graph_output() or value.is_graph_input():
                    continue
                if context.rewrite(None, f"nothing uses {value.name}"):
                    editing.remove_dead_initializer(value)
        self._remove_functions(model, context)

    def _remove_functions(self, model: ir.Model, context: PassContext) -> None:
        used = {node.op_identifier() for node in model.graph.all_nodes()}
        for function in model.functions.values():
            used |= {node.op_identifier() for node in function.all_nodes()}
        unused = [identifier for identifier in model.functions if identifier not in used]
        if unused and context.rewrite(None, f"{len(unused)} functions are never called"):
            RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call]
