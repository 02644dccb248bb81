"""ReduceMean over space, as GlobalAveragePool."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.reduction import reduced_axes
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext

SPACE = (2, 3)


@dataclass(frozen=True)
class MeanToPool(Pass):
    """Replace a ReduceMean over both spatial axes of an image by a GlobalAveragePool.

    torch's exporter writes adaptive pools to one value as means. ONNX Runtime pools in its blocked
    layout and in integers, and for a mean it leaves both. Enters subgraphs.
    """

    name = "mean-to-pool"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Replace each mean that keeps its axes."""
        for graph in editing.graphs(model):
            for node in list(graph):
                value = node.inputs[0] if editing.is_op(node, "ReduceMean") else None
                if value is None or editing.rank(value) != 4 or reduced_axes(node, 4) != SPACE:
                    continue
                reason = _why_not(node, value)
                if reason:
                    context.skip(node, reason)
                elif context.rewrite(node, "GlobalAveragePool"):
                    pooled = editing.new_node(
                        "GlobalAveragePool",
                        [value],
                        before=node,
                        sources=[node],
                        shape=node.outputs[0].shape,
                    )
                    editing.replace_value(node.outputs[0], pooled)
                    editing.remove_dead([node])


def _why_not(node: ir.Node, value: ir.Value) -> str | None:
    if not editing.attribute(node, "keepdims", 1):
        return "it drops its axes"
    if value.dtype != ir.DataType.FLOAT:
        return "its input is not float32"
    return None
