"""Chains of nodes that only give a tensor another shape, as one node."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import RESHAPES
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._views import views
from lprc.passes._views.sizes import Shape, Sizes, nodes_with_sizes, product


@dataclass(frozen=True)
class MergeReshapes(Pass):
    """Make one node of a chain of Reshape, Flatten, Squeeze and Unsqueeze, or none.

    So of Transposes in it that move axes of size 1 only. The node is a Reshape to a constant shape,
    with 0 and -1 for dimensions that are not known; an Unsqueeze or Squeeze where two of them move.
    Shapes must be known (``infer-shapes``), their names tell which unknown dimensions are equal.
    Operator set 13 or later.

    Enters subgraphs.
    """

    name = "merge-reshapes"
    contract = exact_everywhere
    provable = True

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Let each view look at what its chain begins with, in one sweep in topological order."""
        for node, sizes in nodes_with_sizes(model):
            if views.is_view(node, sizes):
                _shorten(node, sizes, context)


def _shorten(node: ir.Node, sizes: Sizes, context: PassContext) -> None:
    shape = sizes.of(node.outputs[0])
    chain = views.sources(node, sizes)
    if shape is None or (node.op_type == "Transpose" and not _ends_chain(node)):
        return
    same = [node.inputs[0], *chain] if node.op_type != "Transpose" else chain
    for source in reversed(same):
        if (
            source is not None
            and sizes.of(source) == shape
            and not editing.stays_public(node.outputs[0], source)
        ):
            if context.rewrite(node, f"is {source.name}"):
                _replace(node, source)
            return
    for source in reversed(chain):
        if _is_view_of(shape, source, sizes):
            _view(node, source, shape, sizes, context)
            return
    if chain:
        context.skip(node, "more than one dimension of the shape is not known")


def _ends_chain(node: ir.Node) -> bool:
    """Whether what is in front of a Transpose is for it alone, and can go."""
    value = node.inputs[0]
    return (
        value is not None
        and editing.is_op(value.producer(), *RESHAPES)
        and (editing.is_private(value))
    )


def _is_view_of(shape: Shape, source: ir.Value, sizes: Sizes) -> bool:
    old = sizes.of(source)
    return old is not None and product(old) == product(shape) and views.can_view(old, shape)


def _view(
    node: ir.Node, source: ir.Value, shape: Shape, sizes: Sizes, context: PassContext
) -> None:
    if not context.rewrite(node, f"shapes {source.name}"):
        return
    producer = node.inputs[0].producer() if node.inputs[0] is not None else None
    merged = [node] if producer is None else [producer, node]
    new = views.new_view(source, shape, before=node, from_nodes=merged, sizes=sizes)
    assert new is not None
    _replace(node, new)


def _replace(node: ir.Node, value: ir.Value) -> None:
    editing.replace_value(node.outputs[0], value)
    editing.remove_dead([node])
