"""Relu of what is not negative does nothing."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.plugin import Pass, PassContext, editing, exact, option


@dataclass(frozen=True)
class MergeRelu(Pass):
    """Remove a Relu whose input is a Relu, or another operator that gives no negative values.

    A Relu whose input is a graph output stays: two outputs can't be one value.

    Enters subgraphs.
    """

    name = "merge-relu"
    contract = exact

    sigmoid: bool = option(True, "whether to remove a Relu of a Sigmoid too")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Look at each Relu once."""
        producers = ("Relu", "Sigmoid") if self.sigmoid else ("Relu",)
        for graph in editing.graphs(model):
            for node in list(graph):
                inner = node.inputs[0].producer() if editing.is_op(node, "Relu") else None
                if inner is None or not any(editing.is_op(inner, each) for each in producers):
                    continue
                if inner.outputs[0].is_graph_output() or inner.graph is not graph:
                    context.skip(node, "its input is a graph output or of another graph")
                elif context.rewrite(node, f"covered by {inner.name}"):
                    editing.replace_value(node.outputs[0], inner.outputs[0])
                    editing.remove_dead([node])
