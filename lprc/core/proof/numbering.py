"""Values of two graphs, numbered so that equal numbers are equal values."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.constants import constant_tensor
from lprc.core.graph.operators import RANDOM
from lprc.core.graph.printer import attribute_text, tensor_hash

Path = tuple[str, ...]
"""The nodes and attributes that a graph lies in, from the outside; empty for the main graph."""


class Numbering:
    """Value numbers by structure (after Alpern, Wegman and Zadeck), and what was proved besides.

    Two values have one number if they are the same graph input, constants of the same bytes, or
    the same output of nodes that are alike and have inputs of the same numbers. What is proved
    equal is merged, and everything behind it is numbered again.

    Args:
        before: A model whose nodes and values have names.
        after: The model that is said to compute the same.

    Attributes:
        members: A value of each number, of `before` where that has one.
        of_before: The numbers of the values of `before`.
        of_after: Those of `after`.
    """

    def __init__(self, before: ir.Model, after: ir.Model) -> None:
        self.before, self.after = before, after
        self.members: dict[int, ir.Value] = {}
        self._table: dict[Hashable, int] = {}
        self._parent: list[int] = []
        self._constants: dict[int, Hashable] = {}
        self._held: list[object] = []
        self._merged: list[tuple[ir.Value, ir.Value]] = []
        self._numbers: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.renumber()

    def merge(self, value: ir.Value, other: ir.Value) -> None:
        """Take a value of `before` and one of `after` for equal from now on."""
        self._merged.append((value, other))
        self.renumber()

    def renumber(self) -> None:
        """Number all values anew, until what was merged moves no number any more."""
        while True:
            self._values: list[tuple[int, ir.Value]] = []
            self._numbers = (self._number_model(self.before), self._number_model(self.after))
            moved = [self._unite(self.number(a), self.number(b)) for a, b in self._merged]
            if not any(moved):
                break
        self.of_before = {self._root(number) for number in self._numbers[0].values()}
        self.of_after = {self._root(number) for number in self._numbers[1].values()}
        self.members = {}
        for number, value in self._values:
            self.members.setdefault(self._root(number), value)

    def number(self, value: ir.Value) -> int:
        """The number of a value of either graph."""
        own = self._numbers[0].get(id(value))
        return self._root(self._numbers[1][id(value)] if own is None else own)

    def behind(self, value: ir.Value, opened: frozenset[int]) -> ir.Node | None:
        """The node that a window goes on with behind `value`; None where it ends.

        Args:
            value: Of either graph.
            opened: Numbers of values of both graphs to look behind.
        """
        number = self.number(value)
        if editing.constant(value) is not None:
            return None
        if self.is_common(value) and number not in opened:
            return None
        # Of a common value both graphs have alike nodes: take the same for both.
        return self.members[number].producer()

    def is_common(self, value: ir.Value) -> bool:
        """Whether both graphs have the value."""
        number = self.number(value)
        return number in self.of_before and number in self.of_after

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def _unite(self, first: int, second: int) -> bool:
        first, second = self._root(first), self._root(second)
        self._parent[max(first, second)] = min(first, second)
        return first != second

    def _entry(self, key: Hashable) -> int:
        number = self._table.get(key)
        if number is None:
            number = self._table[key] = len(self._parent)
            self._parent.append(number)
        return self._root(number)

    def _set(self, numbers: dict[int, int], value: ir.Value, key: Hashable) -> None:
        numbers[id(value)] = self._entry(key)
        self._values.append((numbers[id(value)], value))

    def _number_model(self, model: ir.Model) -> dict[int, int]:
        numbers: dict[int, int] = {}
        self._number_graph(model.graph, (), numbers)
        return numbers

    def _number_graph(self, graph: ir.Graph, path: Path, numbers: dict[int, int]) -> None:
        for place, value in enumerate(graph.inputs):
            name = place if path else value.name
            self._set(numbers, value, ("input", path, name))
        for value in graph.initializers.values():
            if not value.is_graph_input():
                self._set(numbers, value, self._constant(value.const_value, value))
        for node in graph:
            self._number_node(node, path, numbers)

    def _constant(self, tensor: ir.TensorProtocol | None, value: ir.Value) -> Hashable:
        if tensor is None:
            return ("without a value", id(value))
        if id(tensor) not in self._constants:
            self._held.append(tensor)  # so that nothing else gets its id
            self._constants[id(tensor)] = ("constant", tensor_hash(tensor))
        return self._constants[id(tensor)]

    def _number_node(self, node: ir.Node, path: Path, numbers: dict[int, int]) -> None:
        if editing.is_op(node, "Constant"):
            tensor = constant_tensor(node)
            if tensor is not None:
                self._set(numbers, node.outputs[0], self._constant(tensor, node.outputs[0]))
                return
        bodies = []
        for name, body in graphs_of(node):
            self._number_graph(body, (*path, node.name or "", name), numbers)
            bodies.append(tuple(numbers[id(value)] for value in body.outputs))
        inputs = tuple(None if value is None else numbers[id(value)] for value in node.inputs)
        likeness = (*likeness_of(node), len(node.outputs), tuple(bodies), inputs)
        if bodies:
            likeness = (*likeness, path, node.name)
        if node.op_type in RANDOM:  # two of them are never one; names of values are unique
            likeness = (*likeness, path, node.outputs[0].name)
        for place, value in enumerate(node.outputs):
            self._set(numbers, value, ("output", place, likeness))


def likeness_of(node: ir.Node) -> tuple[Hashable, ...]:
    """Operator and attributes, without the graphs inside."""
    attributes = tuple(
        (name, attribute_text(value, in_full=True))
        for name, value in sorted(node.attributes.items())
        if value.type not in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    )
    return (node.domain, node.op_type, node.overload, attributes)


def graphs_of(node: ir.Node) -> Iterator[tuple[str, ir.Graph]]:
    """The graphs inside of a node, by the attribute's name and their place in it."""
    for name, attribute in sorted(node.attributes.items()):
        if attribute.type == ir.AttributeType.GRAPH:
            yield name, attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            for place, graph in enumerate(attribute.as_graphs()):
                yield f"{name}.{place}", graph
