"""Constant nodes as initialisers."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.constants import become_initializer, constant_tensor
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class LiftConstants(Pass):
    """Turn Constant nodes into initialisers, so that a weight is a weight however it was exported.

    Enters subgraphs; each constant becomes an initialiser of its own graph. One that is a graph
    output stays a node.
    """

    name = "lift-constants"
    contract = exact_everywhere

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Lift each Constant."""
        lifted = False
        for graph in editing.graphs(model):
            for node in list(graph):
                if editing.is_op(node, "Constant"):
                    lifted |= _lift(node, graph, context)
        if lifted and (model.ir_version or 0) < 4:
            # Only since version 4 may an initialiser not be an input.
            model.ir_version = 4


def _lift(node: ir.Node, graph: ir.Graph, context: PassContext) -> bool:
    output = node.outputs[0]
    if output.is_graph_output():
        context.skip(node, "is a graph output")
        return False
    tensor = constant_tensor(node)
    # onnx-ir loads no sparse Constant; None would be an attribute of an enclosing function.
    if tensor is None or not context.rewrite(node, "became an initialiser"):
        return False
    become_initializer(output, tensor)
    graph.remove(node, safe=True)
    return True
