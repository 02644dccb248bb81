"""Concat of Concat, as one."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class MergeConcats(Pass):
    """Let a Concat take in what a Concat along the same axis takes in that is for it alone.

    Axes count from the front or the end; where they differ in that, the rank must be known.

    Enters subgraphs.
    """

    name = "merge-concats"
    contract = exact_everywhere
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Merge in one sweep, inputs first, so that chains end as one."""
        for graph in editing.graphs(model):
            for node in list(graph):
                if editing.is_op(node, "Concat") and node.graph is graph:
                    _merge(node, context)


def _merge(node: ir.Node, context: PassContext) -> None:
    inputs: list[ir.Value | None] = []
    merged: list[ir.Node] = []
    for value in node.inputs:
        inner = value.producer() if value is not None else None
        if inner is None or not editing.is_op(inner, "Concat") or _axis(inner) != _axis(node):
            inputs.append(value)
        elif not editing.is_private(value) or inner.graph is not node.graph:
            context.skip(node, "the Concat in front has other uses")
            inputs.append(value)
        else:
            inputs.extend(inner.inputs)
            merged.append(inner)
    if not merged or not context.rewrite(node, f"merged with {_names(merged)}"):
        return
    output = node.outputs[0]
    new = editing.new_node(
        "Concat",
        inputs,
        before=node,
        sources=[node, *merged],
        attributes={"axis": editing.attribute(node, "axis", 1)},
        name=node.name,
        dtype=output.dtype,
        shape=output.shape,
    )
    editing.replace_value(output, new)
    editing.remove_dead([node])


def _names(nodes: list[ir.Node]) -> str:
    return ", ".join(node.name or node.op_type for node in nodes)


def _axis(node: ir.Node) -> int:
    """The axis, from the front where the rank is known."""
    axis = int(editing.attribute(node, "axis", 1))
    ranks = [editing.rank(value) for value in (*node.inputs, *node.outputs)]
    rank = next((rank for rank in ranks if rank is not None), None)
    return axis if axis >= 0 or rank is None else axis + rank
