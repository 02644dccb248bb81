"""With which range each value is quantised: what carriers connect shares one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.annotations import Range, range_of
from lprc.core.graph.operators import ACTIVATIONS, LINEAR
from lprc.core.quantization.placement_rules import Rules, carried_inputs, is_fused

SHARE_LIMIT = 2.0
"""How much larger a shared value's range may be than what the quantised readers alone need.

That costs them one bit; on LPRNet it saves a whole pass over the largest tensors.
"""

ALIGN_LIMIT = 1.25
"""How much larger an input's range may become so that a rescaler need not change its scale.

For what reads that input besides; where nothing does, the rescaler's own grid is all that counts.
"""


def quantized_ranges(
    inputs: Sequence[tuple[ir.Node, int]],
    outputs: Iterable[ir.Value],
    carriers: Sequence[ir.Node],
    rules: Rules,
) -> tuple[dict[ir.Value, Range], set[ir.Value]]:
    """The range of each quantised value, and the values whose float readers read it too.

    A group's range is that of what its readers read. What a Slice drops, for instance, does not
    count, and neither does the float reader of a value unless it shares the quantised one.

    Args:
        inputs: What is quantised, carriers' inputs too: (node, index).
        outputs: Values that are quantised besides.
        carriers: The nodes that carry quantised values, in graph order.
        rules: The target's.
    """
    rescalers = [node for node in carriers if editing.is_op(node, *rules.rescalers)]
    moving = {node for node in carriers if node not in rescalers}
    groups = _Groups(moving)
    readers: dict[ir.Value, set[ir.Node]] = {}
    wanted: dict[ir.Value, list[Range]] = {}
    values: dict[ir.Value, None] = {}
    for node, index in inputs:
        value = _value(node, index)
        values[value] = None
        own = range_of(value)
        if own is not None and node not in moving:
            readers.setdefault(groups.root(value), set()).add(node)
            wanted.setdefault(groups.root(value), []).append(own)
    shared: set[ir.Value] = set()
    for value in outputs:
        own = range_of(value)
        assert own is not None
        wanted.setdefault(groups.root(value), []).append(own)
        values[value] = None
        shared.add(value)
    if rules.share:
        _share(values, moving, wanted, groups, shared, rules)
    ranges = {root: _union(read) for root, read in wanted.items()}
    _align(rescalers, ranges, groups, readers)
    roots = {value: groups.root(value) for value in values}
    return {value: ranges[root] for value, root in roots.items() if root in ranges}, shared


def _share(
    values: Iterable[ir.Value],
    moving: set[ir.Node],
    wanted: dict[ir.Value, list[Range]],
    groups: _Groups,
    shared: set[ir.Value],
    rules: Rules,
) -> None:
    """Add what float readers share too, and with which range."""
    for value in values:
        read, own = wanted.get(groups.root(value)), range_of(value)
        if read is None or own is None or value.producer() in moving:
            continue
        if _is_in_front_of_activation(value, rules):
            continue
        together = _union([*read, own])
        if together.magnitude <= SHARE_LIMIT * _union(read).magnitude:
            shared.add(value)
            read.append(own)


def _align(
    rescalers: Sequence[ir.Node],
    ranges: dict[ir.Value, Range],
    groups: _Groups,
    readers: dict[ir.Value, set[ir.Node]],
) -> None:
    """Let a rescaler's inputs have its output's range, where that is no loss.

    What it puts out is on the output's grid, so that an input which nothing else reads gains
    nothing by a finer one: it would be rounded twice, and the runtime has to change its scale.
    """
    for node in rescalers:
        root = groups.root(node.outputs[0])
        read = [ranges.get(groups.root(value)) for _, value in carried_inputs(node)]
        if root in ranges and None not in read:
            ranges[root] = _union([own for own in read if own is not None])
    for node in reversed(rescalers):
        whole = ranges.get(groups.root(node.outputs[0]))
        for _, value in carried_inputs(node):
            root = groups.root(value)
            own = ranges.get(root)
            if whole is None or own is None or (own.low < 0) != (whole.low < 0):
                continue
            alone = readers.get(root) == {node} and editing.sole_user(value) is node
            if alone or whole.magnitude <= ALIGN_LIMIT * own.magnitude:
                ranges[root] = whole


def _is_in_front_of_activation(value: ir.Value, rules: Rules) -> bool:
    return editing.is_op(value.producer(), *LINEAR) and any(
        editing.is_op(use.node, *ACTIVATIONS) and is_fused(use.node, rules) for use in value.uses()
    )


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
