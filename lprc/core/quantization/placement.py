"""Where Q/DQ pairs go: a plan over a float graph, by rules that a target gives as data."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import Range, range_of
from lprc.core.graph.operators import ACTIVATIONS, INTEGER, LINEAR, PRODUCTS
from lprc.core.quantization.placement_between import between_quantized
from lprc.core.quantization.placement_ranges import quantized_ranges
from lprc.core.quantization.placement_rules import (
    Rules,
    carried_inputs,
    is_carrier,
    is_excluded,
    is_fused,
    leaves_graph,
)


@dataclass
class Plan:
    """What to quantise.

    Attributes:
        inputs: The inputs of nodes that read quantised values: (node, index), in graph order.
        outputs: Values that are quantised though only float operators read them.
        ranges: For each value that gets Q/DQ, the range that it is quantised with.
        shared: The values whose float readers read the dequantised value too.
        carriers: The nodes that carry quantised values, in graph order.
        skips: Nodes that might have been quantised, and why they are not.
    """

    inputs: list[tuple[ir.Node, int]] = field(default_factory=list)
    outputs: list[ir.Value] = field(default_factory=list)
    ranges: dict[ir.Value, Range] = field(default_factory=dict)
    shared: set[ir.Value] = field(default_factory=set)
    carriers: list[ir.Node] = field(default_factory=list)
    skips: list[tuple[ir.Node, str]] = field(default_factory=list)


def plan(model: ir.Model, rules: Rules) -> Plan:
    """Where Q/DQ pairs go in the main graph of `model`, whose activations have recorded ranges."""
    placement = Plan()
    carried: dict[ir.Node, None] = {}
    for node in model.graph:
        reason = _why_not(node, rules)
        if reason is not None:
            placement.skips.append((node, reason))
            continue
        wanted = [(node, index) for index in _quantized_inputs(node, rules)]
        if not wanted:
            continue
        missing = [node.inputs[index] for _, index in wanted if not _has_range(node, index)]
        if missing:
            placement.skips.append((node, "no range is recorded for its input"))
            continue
        outputs = _quantized_outputs(node, rules)
        if outputs is None:
            placement.skips.append((node, "its output leaves the graph in float"))
            continue
        placement.outputs += outputs
        placement.inputs += wanted
        for _, index in wanted:
            _carry(node.inputs[index], rules, carried)
    _add_between(model, placement, rules, carried)
    placement.carriers = [node for node in model.graph if node in carried]
    placement.inputs += [
        (node, index) for node in placement.carriers for index, _ in carried_inputs(node)
    ]
    placement.ranges, placement.shared = quantized_ranges(
        placement.inputs, placement.outputs, placement.carriers, rules
    )
    return placement


def _add_between(
    model: ir.Model, placement: Plan, rules: Rules, carried: dict[ir.Node, None]
) -> None:
    """The inputs of what `rules.between` is about, in the places that the graph has for them."""
    between = between_quantized(model, placement.inputs, placement.outputs, rules)
    if not between:
        return
    for node, index in between:
        _carry(node.inputs[index], rules, carried)
    places = {node: place for place, node in enumerate(model.graph)}
    placement.inputs = sorted([*placement.inputs, *between], key=lambda use: places[use[0]])


def _quantized_outputs(node: ir.Node, rules: Rules) -> list[ir.Value] | None:
    """What `rules.outputs` has a node's output quantised; None where that must not be."""
    if not rules.outputs or not editing.is_op(node, *LINEAR):
        return []
    output = _quantized_output(node, rules)
    if output is None:
        return [] if _may_put_out_float(node) and _is_large(node) else None
    return [output] if output.uses() and not _reads_float(node, rules) else []


def _quantized_output(node: ir.Node, rules: Rules) -> ir.Value | None:
    """The output of a linear operator that `rules.outputs` is about; None where it stays float."""
    output = node.outputs[0]
    activation = _sole_activation(output)
    # What leaves the graph keeps its precision, whether the activation is fused or not.
    if leaves_graph(output if activation is None else activation.outputs[0], rules):
        return None
    if activation is not None and is_fused(activation, rules):
        output = activation.outputs[0]
    return output if range_of(output) is not None else None


def _sole_activation(output: ir.Value) -> ir.Node | None:
    user = editing.sole_user(output)
    if user is not None and editing.is_op(user, *ACTIVATIONS) and user.inputs[0] is output:
        return user
    return None


LARGE = 2**16
"""Weights of the last Gemm or MatMul from which integers save time.

A smaller one takes as long in float, and in integers it costs decibels: 5 of a head of 7 classes.
"""


def _is_large(node: ir.Node) -> bool:
    index = weight_index(node)
    weight = None if index is None else editing.constant(node.inputs[index])
    return weight is not None and weight.size >= LARGE


def _may_put_out_float(node: ir.Node) -> bool:
    """Whether a linear operator computes in integers though its output stays float."""
    return editing.is_op(node, *(PRODUCTS - INTEGER))


def _reads_float(node: ir.Node, rules: Rules) -> bool:
    """Whether `rules.float_inputs` alone read a MatMul or Gemm, also through carriers."""
    if not _may_put_out_float(node):
        return False
    pending = [node.outputs[0]]
    while pending:
        for use in pending.pop().uses():
            if is_carrier(use.node, rules):
                pending += use.node.outputs
            elif not editing.is_op(use.node, *rules.float_inputs):
                return False
    return True


def weight_index(node: ir.Node) -> int | None:
    """The input of a linear operator that is its constant weight; None if none is."""
    if not editing.is_op(node, *LINEAR):
        return None
    candidates = (1, 0) if editing.is_op(node, "MatMul", "Gemm") else (1,)
    for index in candidates:
        array = editing.constant(editing.input_at(node, index))
        if array is not None and array.ndim >= 2:
            return index
    return None


def _quantized_inputs(node: ir.Node, rules: Rules) -> list[int]:
    if editing.is_op(node, "Add"):
        return _residual_inputs(node, rules)
    if not editing.is_op(node, *rules.operators):
        return []
    if not editing.is_op(node, *LINEAR):
        return [0]
    weight = weight_index(node)
    count = 2 if editing.is_op(node, "MatMul", "Gemm") else 1
    return [index for index in range(count) if index != weight]


def _residual_inputs(node: ir.Node, rules: Rules) -> list[int]:
    """The inputs of an Add of two activations of one shape."""
    if (
        rules.residual == "float"
        or is_excluded(node, rules)
        or any(
            value is None or editing.constant(value) is not None or range_of(value) is None
            for value in node.inputs
        )
    ):
        return []
    left, right = node.inputs
    assert left is not None
    assert right is not None
    if left.shape is None or left.shape != right.shape:
        return []
    if rules.residual == "both":
        return [0, 1]
    fusible = [editing.is_op(value.producer(), *LINEAR) for value in (left, right)]
    # With linear operators on both sides the Add is fused into the later one.
    return [1] if fusible[0] and not fusible[1] else [0]


def _why_not(node: ir.Node, rules: Rules) -> str | None:
    if not editing.is_op(node, *rules.operators):
        return None
    if is_excluded(node, rules):
        return "excluded"
    value = node.inputs[0]
    if value is None or value.dtype != ir.DataType.FLOAT:
        return "its input is not float32"
    if editing.is_op(node, "Conv", "ConvTranspose") and weight_index(node) is None:
        return "its weight is not constant"
    return None


def _has_range(node: ir.Node, index: int) -> bool:
    return range_of(node.inputs[index]) is not None


def _carry(value: ir.Value | None, rules: Rules, carried: dict[ir.Node, None]) -> None:
    """Mark the carriers that `value` came through as carrying quantised values."""
    pending = [value]
    while pending:
        current = pending.pop()
        producer = None if current is None else current.producer()
        if producer is None or producer in carried or not is_carrier(producer, rules):
            continue
        if any(range_of(operand) is None for _, operand in carried_inputs(producer)):
            continue
        carried[producer] = None
        pending += [operand for _, operand in carried_inputs(producer)]
