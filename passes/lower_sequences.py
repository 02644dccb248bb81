"""Sequences of tensors whose length is known, as the tensors themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import READS_SEQUENCE
from lprc.core.options import option
from lprc.core.passing.contract import exact_everywhere
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._forms.sequences import SEQUENCES, Element, Sequences


@dataclass(frozen=True)
class LowerSequences(Pass):
    """Replace sequences of tensors by Split, Squeeze, Concat and the tensors themselves.

    torch's exporter over torch.export writes ``chunk`` and ``split`` as SplitToSequence and
    SequenceAt, which TensorRT and others refuse. A sequence goes where it is known how many tensors
    it has and all that read it can do without: SequenceAt of a constant index, SequenceLength and
    ConcatFromSequence. SplitToSequence, SequenceConstruct, SequenceEmpty, SequenceInsert and
    SequenceErase make sequences; a chunk size needs the dimension to be known (``infer-shapes``).

    Enters subgraphs, also those that read a sequence from outside.
    """

    name = "lower-sequences"
    contract = exact_everywhere

    max_parts: int = option(1024, "most tensors to split one into")

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Rewrite what reads sequences; see the class."""
        nodes = [
            node
            for graph in editing.graphs(model)
            for node in graph
            if editing.is_op(node, *SEQUENCES, *READS_SEQUENCE)
        ]
        if editing.opset_version(model) < 13:
            for node in nodes:
                if not editing.is_op(node, "Identity"):
                    context.skip(node, "opset is below 13")
            return
        sequences = Sequences(nodes, self.max_parts)
        for node, reason in sequences.reasons.items():
            context.skip(node, reason)
        for node in nodes:
            elements = sequences.read_by(node)
            if elements is not None and context.rewrite(node, _note(node, len(elements))):
                _rewrite(node, elements)


def _note(node: ir.Node, count: int) -> str:
    if node.op_type == "SequenceAt":
        return f"element {editing.scalar(node.inputs[1])} of {count}"
    return f"length {count}" if node.op_type == "SequenceLength" else f"Concat of {count}"


def _rewrite(node: ir.Node, elements: list[Element]) -> None:
    graph, old = node.graph, node.outputs[0]
    assert isinstance(graph, ir.Graph)
    if node.op_type == "SequenceAt":
        new = elements[editing.scalar(node.inputs[1])]()
    elif node.op_type == "SequenceLength":
        new = editing.add_initializer(graph, f"{node.name}_length", np.array(len(elements)))
    else:
        new = _concat(node, graph, [element() for element in elements])
    # The old value's shape and ranges hold for the new one; a graph input's signature stays.
    if new.producer() is not None:
        new.shape = old.shape if new.shape is None else new.shape
        new.type = old.type if new.type is None else new.type
    editing.replace_value(old, new, before=node)
    editing.remove_dead([node])


def _concat(node: ir.Node, graph: ir.Graph, values: list[ir.Value]) -> ir.Value:
    axis = editing.attribute(node, "axis")
    if editing.attribute(node, "new_axis", 0):
        axes = editing.add_initializer(graph, f"{node.name}_axes", np.array([axis]))
        values = [
            editing.new_node(
                "Unsqueeze",
                [value, axes],
                before=node,
                sources=[node],
                shape=_unsqueezed(value, axis),
            )
            for value in values
        ]
    return editing.new_node(
        "Concat",
        values,
        before=node,
        sources=[node],
        attributes={"axis": axis},
        shape=node.outputs[0].shape,
    )


def _unsqueezed(value: ir.Value, axis: int) -> list[int | ir.SymbolicDim] | None:
    if value.shape is None:
        return None
    shape = list(value.shape)
    shape.insert(axis if axis >= 0 else len(shape) + 1 + axis, 1)
    return shape
