"""If on a constant, as the branch that is taken."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing, subgraphs
from lprc.core.graph.provenance import inherit
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext


@dataclass(frozen=True)
class InlineBranches(Pass):
    """Put the branch that is taken in the place of an If whose condition is constant.

    Its nodes come from the If too. Values that other graphs have names in common with get new
    names.

    Enters subgraphs.
    """

    name = "inline-branches"
    contract = exact_everywhere

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Inline outer ones first; what comes out of a branch is looked at too."""
        if not any(editing.is_op(node, "If") for graph in editing.graphs(model) for node in graph):
            return
        name_counts = subgraphs.count_names(model)
        pending = deque(model.graph)
        while pending:
            node = pending.popleft()
            branch = _taken(node)
            if branch is not None and context.rewrite(node, "its condition is constant"):
                subgraphs.make_names_unique(branch, name_counts)
                pending.extendleft(reversed(_inline(node, branch)))
            else:
                for graph in subgraphs.bodies(node):
                    pending.extend(graph)


def _taken(node: ir.Node) -> ir.Graph | None:
    condition = editing.scalar(editing.input_at(node, 0)) if editing.is_op(node, "If") else None
    if condition is None:
        return None
    branch = editing.attribute(node, "then_branch" if condition else "else_branch")
    return branch if isinstance(branch, ir.Graph) else None


def _inline(node: ir.Node, branch: ir.Graph) -> list[ir.Node]:
    nodes, outputs = subgraphs.move_out(branch, node)
    for moved in nodes:
        inherit(moved, [node])
    for old, new in zip(node.outputs, outputs, strict=True):
        editing.replace_value(old, new)
    subgraphs.release_captured(node)
    editing.remove_dead([node])
    return nodes
