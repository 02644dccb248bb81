"""What a target's runtime computes in eight bits: the rules that Q/DQ pairs are placed by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.graph.operators import ACTIVATIONS, LINEAR, MOVES
from lprc.core.graph.provenance import origins

Residual = Literal["float", "skip", "both"]

# MaxPool chooses elements, and Resize does where it is to the nearest. What picks elements by
# computed places stands around activations so rarely that no runtime was tried with it in int8.
CARRIERS = (MOVES | {"MaxPool", "Resize"}) - {
    "Compress", "GatherElements", "GatherND", "ReverseSequence",
}  # fmt: skip
"""Operators that only choose or move elements: they commute with quantisation."""


@dataclass(frozen=True)
class Rules:
    """What a target runs in eight bits.

    Attributes:
        operators: Operators that take quantised inputs (``Conv``, ``Gemm`` …).
        carriers: Operators that pass quantised values on, with one scale for all they touch.
        residual: Which inputs of an Add of two activations are quantised; ``skip`` is the one that
            does not come from a linear operator, so that the Add can be fused into that operator.
        share: Whether operators that stay float read the dequantised values too, so that nobody
            needs the float tensor any more.
        outputs: Whether what quantised linear operators put out, behind their activation, is
            quantised even where only float operators read it: some runtimes compute in integers
            only between one Q and the next. One whose output leaves the graph stays float.
        exclude: Nodes, by their own or their source's name, that keep float inputs.
        rescalers: Carriers, such as Concat, whose inputs and output each keep a scale of their own,
            because the runtime's kernel changes scales on the way.
        fused: Activations that the runtime computes together with the linear operator in front of
            them. In front of others, that operator's own output is quantised where `outputs` asks.
            A Clip with nothing negative behind it counts as a Relu too.
        float_inputs: Operators that a MatMul or Gemm which they alone read gives float, whatever
            `outputs` asks: those two compute in integers with a float output too.
        between: Elementwise operators and pools that read quantised values, and whose outputs are
            quantised, where everything that they read is quantised already and something that
            reads them is: the runtime then never leaves integers.
    """

    operators: tuple[str, ...] = tuple(sorted(LINEAR))
    carriers: tuple[str, ...] = tuple(sorted(CARRIERS))
    residual: Residual = "float"
    share: bool = False
    outputs: bool = False
    exclude: tuple[str, ...] = ()
    rescalers: tuple[str, ...] = ()
    fused: tuple[str, ...] = tuple(sorted(ACTIVATIONS))
    float_inputs: tuple[str, ...] = ()
    between: tuple[str, ...] = ()


def is_carrier(node: ir.Node | None, rules: Rules) -> bool:
    """Whether `node` commutes with quantisation under `rules`."""
    if node is None or not editing.is_op(node, *rules.carriers) or is_excluded(node, rules):
        return False
    if any(value is not None and value.dtype != ir.DataType.FLOAT for value in node.inputs[:1]):
        return False
    if editing.is_op(node, "Resize"):
        return bool(editing.attribute(node, "mode", "nearest") == "nearest")
    if editing.is_op(node, "MaxPool"):
        # Indices come from comparisons, and ties between equal integers would move them.
        return len(node.outputs) == 1 or not node.outputs[1].uses()
    return True


def is_excluded(node: ir.Node, rules: Rules) -> bool:
    """Whether `rules` leave `node` out, by its own or its source's name."""
    return bool(rules.exclude) and bool({node.name, *origins(node)} & set(rules.exclude))


def is_fused(activation: ir.Node, rules: Rules) -> bool:
    """Whether the runtime computes `activation` with the linear operator in front of it."""
    if editing.is_op(activation, *rules.fused):
        return True
    recorded = range_of(activation.outputs[0])
    # Of all ends of a Clip only 0 is on every grid, so that a Q can cut off there in its place.
    as_relu = editing.is_op(activation, "Clip") and recorded is not None and recorded.low >= 0
    return as_relu and "Relu" in rules.fused


def leaves_graph(value: ir.Value, rules: Rules) -> bool:
    """Whether `value` is a graph output, by itself or through carriers."""
    pending, seen = [value], {value}
    while pending:
        current = pending.pop()
        if current.is_graph_output():
            return True
        for use in current.uses():
            if is_carrier(use.node, rules):
                outputs = [output for output in use.node.outputs if output not in seen]
                seen.update(outputs)
                pending += outputs
    return False


def carried_inputs(node: ir.Node) -> Iterator[tuple[int, ir.Value]]:
    """The inputs of a carrier that hold the elements which it moves."""
    every = editing.is_op(node, "Concat")
    for index, value in enumerate(node.inputs if every else node.inputs[:1]):
        if value is not None:
            yield index, value
