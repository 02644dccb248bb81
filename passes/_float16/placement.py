"""Which nodes compute in float16, so that few Casts are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.passes._float16.operators import GAINS, MOVES
from lprc.passes._float16.ports import half_inputs, half_outputs, is_float

_SINGLE, _HALF = 0, 1
_READERS = ("Cast", "Shape", "Size")
INDIFFERENT = MOVES | {"QuantizeLinear"}
"""Operators that gain nothing from float16 but the Casts that they save."""


def is_reader(node: ir.Node) -> bool:
    """Whether `node` takes float32 or float16 alike and puts out neither's precision."""
    return editing.is_op(node, *_READERS) and not any(map(is_float, node.outputs))


def is_widening(node: ir.Node | None) -> bool:
    """Whether `node` makes float32 of float16."""
    if node is None or not editing.is_op(node, "Cast") or not is_float(node.outputs[0]):
        return False
    source = node.inputs[0]
    return source is not None and source.dtype == ir.DataType.FLOAT16


def is_candidate(node: ir.Node) -> bool:
    """Whether `node` could be asked to compute in float16."""
    if is_reader(node) or is_widening(node) or editing.is_op(node, "Constant"):
        return False
    return any(map(is_float, node.inputs)) or any(map(is_float, node.outputs))


@dataclass
class Placement:
    """Chooses between float16 and float32 for the nodes that may be either.

    A node takes the side that needs fewer Casts around it, given its neighbours' sides; equal
    numbers mean float16, and so does a lack of neighbours. Two sweeps after the first choice.

    Args:
        candidates: Nodes with float32 inputs or outputs, in topological order.
        reasons: Why some of them stay in float32.
        half_io: Graph inputs and outputs that are going to be float16.
        opset: Of the graph.
    """

    candidates: Sequence[ir.Node]
    reasons: Mapping[ir.Node, str]
    half_io: set[ir.Value]
    opset: int
    _side: dict[ir.Node, int] = field(default_factory=dict)
    _inputs: dict[ir.Node, list[ir.Value]] = field(default_factory=dict)
    _outputs: dict[ir.Node, list[ir.Value]] = field(default_factory=dict)
    _wants: dict[ir.Value, list[int]] = field(default_factory=dict)

    def half(self) -> set[ir.Node]:
        """The nodes that compute in float16."""
        for node in self.candidates:
            inputs = dict.fromkeys(
                value
                for _, value in half_inputs(node, self.opset)
                if editing.constant(value) is None
            )
            self._inputs[node] = list(inputs)
            self._outputs[node] = list(half_outputs(node, self.opset))
            self._side[node] = self._first_choice(node)
        free = [node for node in self.candidates if self._is_free(node)]
        self._count_wants()
        for sweep in (reversed(free), free):
            for node in sweep:
                self._reconsider(node)
        return {node for node, side in self._side.items() if side == _HALF}

    def _is_free(self, node: ir.Node) -> bool:
        return node not in self.reasons and node.op_type not in GAINS

    def _first_choice(self, node: ir.Node) -> int:
        if node in self.reasons:
            return _SINGLE
        if node.op_type in GAINS:
            return _HALF
        sides = {self._home(value) for value in self._inputs[node]}
        if _HALF in sides:
            return _HALF
        if any(value.producer() in self._side for value in self._inputs[node]):
            return _SINGLE
        return _SINGLE if node.op_type in MOVES else _HALF

    def _home(self, value: ir.Value) -> int | None:
        """The side on which `value` is made; None if it is to be had on both."""
        producer = value.producer()
        if producer is None or producer.graph is not self.candidates[0].graph:
            return self._io_side(value)
        if is_widening(producer):
            return None
        is_half = self._side.get(producer) == _HALF and value in self._outputs[producer]
        return _HALF if is_half else _SINGLE

    def _io_side(self, value: ir.Value) -> int:
        return _HALF if value in self.half_io else _SINGLE

    def _count_wants(self) -> None:
        """Count, for each value, the users on each side."""
        for node in self.candidates:
            may_be_half = set(self._inputs[node])
            for value in {value for value in node.inputs if value is not None}:
                side = self._side[node] if value in may_be_half else _SINGLE
                self._want(value, side, 1)
            for value in self._outputs[node]:
                if value.is_graph_output():
                    self._want(value, self._io_side(value), 1)
                if any(use.node.graph is not node.graph for use in value.uses()):
                    self._want(value, _SINGLE, 1)

    def _want(self, value: ir.Value, side: int, count: int) -> None:
        self._wanted(value)[side] += count

    def _reconsider(self, node: ir.Node) -> None:
        old = self._side[node]
        for value in self._inputs[node]:
            self._want(value, old, -1)
        if node.op_type not in INDIFFERENT and not self._has_single_neighbour(node):
            new = _HALF
        else:
            new = _HALF if self._casts(node, _HALF) <= self._casts(node, _SINGLE) else _SINGLE
        self._side[node] = new
        for value in self._inputs[node]:
            self._want(value, new, 1)

    def _has_single_neighbour(self, node: ir.Node) -> bool:
        """Whether a node beside this one is in float32; graph inputs and outputs do not count."""
        if any(
            value.producer() is not None and self._home(value) == _SINGLE
            for value in self._inputs[node]
        ):
            return True
        return any(
            self._wanted(value)[_SINGLE] > (value.is_graph_output() and value not in self.half_io)
            for value in self._outputs[node]
        )

    def _casts(self, node: ir.Node, side: int) -> int:
        """How many Casts there are because `node` is on `side`."""
        needed = sum(
            self._home(value) == 1 - side and not self._wanted(value)[side]
            for value in self._inputs[node]
        )
        return needed + sum(self._wanted(value)[1 - side] > 0 for value in self._outputs[node])

    def _wanted(self, value: ir.Value) -> list[int]:
        """How many users `value` has on each side."""
        return self._wants.setdefault(value, [0, 0])


def regions(
    half: set[ir.Node], order: Iterable[ir.Node], values: Callable[[ir.Node], Iterable[ir.Value]]
) -> list[list[ir.Node]]:
    """The nodes of `half` in groups that float16 values connect, each in the given order.

    Args:
        half: Nodes.
        order: All nodes.
        values: The float16 values that go into a node.
    """
    group: dict[ir.Node, ir.Node] = {node: node for node in half}

    def first(node: ir.Node) -> ir.Node:
        while group[node] is not node:
            group[node] = node = group[group[node]]
        return node

    for node in half:
        for value in values(node):
            producer = value.producer()
            if producer in group:
                group[first(node)] = first(producer)
    nodes_by_region: dict[ir.Node, list[ir.Node]] = {}
    for node in order:
        if node in half:
            nodes_by_region.setdefault(first(node), []).append(node)
    return list(nodes_by_region.values())
