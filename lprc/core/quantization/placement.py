"""Where Q/DQ pairs go: a plan over a float graph, by rules that a target gives as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import Range, range_of
from lprc.core.graph.operators import ACTIVATIONS, INTEGER, LINEAR, PRODUCTS
from lprc.core.quantization.placement_rules import Rules, carried_inputs, is_carrier, is_excluded


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
        if rules.outputs and editing.is_op(node, *LINEAR):
            output = _quantized_output(node, rules)
            if output is None:
                placement.skips.append((node, "its output leaves the graph in float"))
                continue
            if output.uses() and not _reads_float(node, rules):
                placement.outputs.append(output)
        placement.inputs += wanted
        for _, index in wanted:
            _carry(node.inputs[index], rules, carried)
    placement.carriers = [node for node in model.graph if node in carried]
    placement.inputs += [
        (node, index) for node in placement.carriers for index, _ in carried_inputs(node)
    ]
    _set_ranges(placement, rules)
    return placement


def _quantized_output(node: ir.Node, rules: Rules) -> ir.Value | None:
    """The output of a linear operator that `rules.outputs` is about; None where it stays float."""
    output = node.outputs[0]
    activation = _sole_activation(output)
    # What leaves the graph keeps its precision, whether the activation is fused or not.
    if _leaves(output if activation is None else activation.outputs[0], rules):
        return None
    if activation is not None and _is_fused(activation, rules):
        output = activation.outputs[0]
    return output if range_of(output) is not None else None


def _sole_activation(output: ir.Value) -> ir.Node | None:
    user = editing.sole_user(output)
    if user is not None and editing.is_op(user, *ACTIVATIONS) and user.inputs[0] is output:
        return user
    return None


def _is_fused(activation: ir.Node, rules: Rules) -> bool:
    if editing.is_op(activation, *rules.fused):
        return True
    recorded = range_of(activation.outputs[0])
    # Of all ends of a Clip only 0 is on every grid, so that a Q can cut off there in its place.
    as_relu = editing.is_op(activation, "Clip") and recorded is not None and recorded.low >= 0
    return as_relu and "Relu" in rules.fused


def _reads_float(node: ir.Node, rules: Rules) -> bool:
    """Whether `rules.float_inputs` alone read a MatMul or Gemm, also through carriers."""
    if not editing.is_op(node, *(PRODUCTS - INTEGER)):
        return False
    pending = [node.outputs[0]]
    while pending:
        for use in pending.pop().uses():
            if is_carrier(use.node, rules):
                pending += use.node.outputs
            elif not editing.is_op(use.node, *rules.float_inputs):
                return False
    return True


def _leaves(value: ir.Value, rules: Rules) -> bool:
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


def _set_ranges(placement: Plan, rules: Rules) -> None:
    """One range for each quantised value; all that a carrier touches share one.

    A group's range is that of what its readers read. What a Slice drops, for instance, does not
    count, and neither does the float reader of a value unless it shares the quantised one.
    """
    carriers = {node for node in placement.carriers if not editing.is_op(node, *rules.rescalers)}
    groups = _Groups(carriers)
    wanted: dict[ir.Value, list[Range]] = {}
    for node, index in placement.inputs:
        value = _value(node, index)
        own = range_of(value)
        if own is not None and node not in carriers:
            wanted.setdefault(groups.root(value), []).append(own)
    values = dict.fromkeys(_value(node, index) for node, index in placement.inputs)
    for value in placement.outputs:
        own = range_of(value)
        assert own is not None
        wanted.setdefault(groups.root(value), []).append(own)
        values[value] = None
        placement.shared.add(value)
    for value in values:
        read, own = wanted.get(groups.root(value)), range_of(value)
        if read is None or own is None or not rules.share or value.producer() in carriers:
            continue
        if _is_in_front_of_activation(value, rules):
            continue
        together = _union([*read, own])
        if together.magnitude <= SHARE_LIMIT * _union(read).magnitude:
            placement.shared.add(value)
            read.append(own)
    for value in values:
        if groups.root(value) in wanted:
            placement.ranges[value] = _union(wanted[groups.root(value)])


def _is_in_front_of_activation(value: ir.Value, rules: Rules) -> bool:
    return editing.is_op(value.producer(), *LINEAR) and any(
        editing.is_op(use.node, *ACTIVATIONS) and _is_fused(use.node, rules) for use in value.uses()
    )


SHARE_LIMIT = 2.0
"""How much larger a shared value's range may be than what the quantised readers alone need.

That costs them one bit; on LPRNet it saves a whole pass over the largest tensors.
"""


class _Groups:
    """Values that carriers connect (union-find)."""

    def __init__(self, carriers: Iterable[ir.Node]) -> None:
        self._leader: dict[ir.Value, ir.Value] = {}
        for node in carriers:
            output = self.root(node.outputs[0])
            for other in node.outputs[1:]:
                self._leader[self.root(other)] = output
            for _, value in carried_inputs(node):
                self._leader[self.root(value)] = output

    def root(self, value: ir.Value) -> ir.Value:
        """The value that stands for the group."""
        while self._leader.setdefault(value, value) is not value:
            self._leader[value] = self._leader[self._leader[value]]
            value = self._leader[value]
        return value


def _value(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    assert value is not None
    return value


def _union(ranges: list[Range]) -> Range:
    return Range(min(each.low for each in ranges), max(each.high for each in ranges))
