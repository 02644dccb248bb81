"""Transposes merged with each other, through the reshapes between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import RESHAPES
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._views import views
from lprc.passes._views.blocks import before_transpose
from lprc.passes._views.sizes import Sizes, nodes_with_sizes, permutation, product


@dataclass(frozen=True)
class MergeTransposes(Pass):
    """Make one Transpose of two in a row, and move a reshape in front of one where that merges it.

    ``Reshape, Transpose, Reshape`` is ``Reshape, Transpose`` where the second one splits, joins or
    drops axes that lie together in front of the Transpose too; so is ``Transpose, Reshape,
    Transpose``. Shapes must be known (``infer-shapes``). Operator set 13 or later.

    Enters subgraphs.
    """

    name = "merge-transposes"
    contract = exact_everywhere
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Rewrite in one sweep in topological order."""
        for node, sizes in nodes_with_sizes(model):
            if editing.is_op(node, "Transpose"):
                _merge(node, context)
            elif editing.is_op(node, *RESHAPES):
                _hoist(node, sizes, context)


def _merge(node: ir.Node, context: PassContext) -> None:
    """Two in a row."""
    inner = node.inputs[0].producer() if node.inputs[0] is not None else None
    if inner is None or not editing.is_op(inner, "Transpose") or inner.graph is not node.graph:
        return
    first, second = permutation(inner), permutation(node)
    source = inner.inputs[0]
    if source is None or first is None or second is None or len(first) != len(second):
        return
    perm = [first[axis] for axis in second]
    if inner.outputs[0].is_graph_output():
        context.skip(node, "the Transpose in front is a graph output")
        return
    if context.rewrite(node, f"merged with {inner.name}"):
        _transpose(node, source, perm, [inner, node])


def _transpose(
    node: ir.Node, source: ir.Value, perm: Sequence[int], merged: Sequence[ir.Node]
) -> None:
    """Put a Transpose of `source` in the place of `node`, if `perm` moves anything."""
    output = node.outputs[0]
    new = source
    if list(perm) != sorted(perm):
        new = editing.new_node(
            "Transpose",
            [source],
            before=node,
            sources=merged,
            attributes={"perm": list(perm)},
            shape=output.shape,
        )
    editing.replace_value(output, new)
    editing.remove_dead([node])


def _hoist(node: ir.Node, sizes: Sizes, context: PassContext) -> None:
    """A reshape behind a Transpose, where either has another of its kind on its other side."""
    value = node.inputs[0]
    transpose = value.producer() if value is not None else None
    if value is None or transpose is None or not editing.is_op(transpose, "Transpose"):
        return
    if not editing.is_private(value) or transpose.graph is not node.graph:
        return
    source = _beginning(transpose)
    if source is transpose.inputs[0] and not _is_transposed(node.outputs[0]):
        return
    plan = before_transpose(transpose, node.outputs[0], sizes)
    old = sizes.of(source)
    if plan is None or old is None or product(old) != product(plan.shape):
        context.skip(node, "it mixes axes that the Transpose in front takes apart")
        return
    if not views.can_view(old, plan.shape):
        context.skip(node, "more than one dimension of the shape is not known")
        return
    if context.rewrite(node, f"moved in front of {transpose.name}"):
        before = transpose.inputs[0].producer() if transpose.inputs[0] is not None else None
        merged = [node] if before is None or source is transpose.inputs[0] else [before, node]
        shaped = views.new_view(source, plan.shape, before=node, from_nodes=merged, sizes=sizes)
        assert shaped is not None
        _transpose(node, shaped, plan.perm, [transpose])


def _beginning(transpose: ir.Node) -> ir.Value:
    """What the Transpose takes in, before a reshape that is for it alone."""
    value = transpose.inputs[0]
    assert value is not None
    reshape = value.producer()
    if reshape is None or not editing.is_op(reshape, *RESHAPES):
        return value
    source = reshape.inputs[0]
    private = editing.is_private(value) and reshape.graph is transpose.graph
    return source if private and source is not None else value


def _is_transposed(value: ir.Value) -> bool:
    return editing.is_op(editing.sole_user(value), "Transpose")
