"""Constant nodes as initialisers."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core import editing
from lprc.core.contract import exact
from lprc.core.pass_base import Pass, PassContext


@dataclass(frozen=True)
class LiftConstants(Pass):
    """Turn Constant nodes into initialisers, so that a weight is a weight however it was exported.

    Enters subgraphs; each constant becomes an initialiser of its own graph. One that is a graph
    output stays a node, and so do sparse tensors.
    """

    name = "lift-constants"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Lift each Constant."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if not editing.is_op(node, "Constant"):
                    continue
                if node.outputs[0].is_graph_output():
                    context.skip(node, "is a graph output")
                    continue
                tensor = ir.convenience.get_const_tensor(node.outputs[0])
                if tensor is None:
                    context.skip(node, "not a dense tensor")
                elif context.rewrite(node, "became an initialiser"):
                    _lift(node, graph, tensor)


def _lift(node: ir.Node, graph: ir.Graph, tensor: ir.TensorProtocol) -> None:
    old = node.outputs[0]
    name, old.name = old.name, None
    lifted = ir.Value(
        name=name,
        shape=ir.Shape(tensor.numpy().shape),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph.register_initializer(lifted)
    ir.convenience.replace_all_uses_with(old, lifted)
    graph.remove(node, safe=True)
