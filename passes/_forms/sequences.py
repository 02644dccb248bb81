"""The elements of a graph's sequences, and which of them can go."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.operators import MAKES_SEQUENCE, READS_SEQUENCE
from lprc.core.graph.provenance import inherit

Element = Callable[[], ir.Value]
"""Finds or makes one tensor of a sequence; asked late, because rewrites replace values."""

# What a SequenceMap puts in is the business of its graph.
SEQUENCES = MAKES_SEQUENCE - {"SequenceMap"} | {"Identity"}
"""Operators that put out a sequence."""

_FROM_SEQUENCE = SEQUENCES - {"SequenceConstruct", "SequenceEmpty", "SplitToSequence"}
"""Those that read one, too."""


class _UnknownError(Exception):
    """A sequence that can't be followed; the message says why, or is empty if that is said."""


class Sequences:
    """The sequences that some nodes make and read.

    Args:
        nodes: The SEQUENCES and READS_SEQUENCE of a model, each behind those it depends on.
        max_parts: How many parts a SplitToSequence may have.

    Attributes:
        reasons: Why a node's sequence has to stay, for each node that is to blame.
    """

    def __init__(self, nodes: Iterable[ir.Node], max_parts: int) -> None:
        self.reasons: dict[ir.Node, str] = {}
        self._max_parts = max_parts
        self._elements: dict[ir.Value, list[Element]] = {}
        self._unknown: set[ir.Value] = set()
        self._blocked: set[ir.Value] = set()
        nodes = list(nodes)
        for node in nodes:
            try:
                self._follow(node)
            except _UnknownError as error:
                self._unknown.add(node.outputs[0])
                if str(error):
                    self.reasons[node] = str(error)
        for node in reversed(nodes):
            if node.outputs[0] in self._elements and not self._all_can_do_without(node):
                self._blocked.add(node.outputs[0])

    def read_by(self, node: ir.Node) -> list[Element] | None:
        """The elements of the sequence that the reader `node` reads, if it can do without it."""
        sequence = node.inputs[0] if editing.is_op(node, *READS_SEQUENCE) else None
        if sequence is None or sequence in self._blocked:
            return None
        return self._elements.get(sequence)

    def _all_can_do_without(self, node: ir.Node) -> bool:
        """Look at who uses the sequence; those behind `node` have been looked at."""
        sequence, free = node.outputs[0], True
        if sequence.is_graph_output():
            self.reasons[node] = "the sequence is a graph output"
            free = False
        for use in sequence.uses():
            output = use.node.outputs[0]
            if use.idx == 0 and editing.is_op(use.node, *READS_SEQUENCE, *_FROM_SEQUENCE):
                free &= output not in self._unknown and output not in self._blocked
            else:
                self.reasons[use.node] = f"{use.node.op_type} reads the sequence"
                free = False
        return free

    def _follow(self, node: ir.Node) -> None:
        output = node.outputs[0]
        if node.op_type == "SplitToSequence":
            split = _Split(node, _sizes(node, self._max_parts))
            self._elements[output] = [
                functools.partial(split.part, index) for index in range(len(split.sizes))
            ]
        elif node.op_type == "SequenceConstruct":
            self._elements[output] = [_input(node, index) for index in range(len(node.inputs))]
        elif node.op_type == "SequenceEmpty":
            self._elements[output] = []
        elif node.op_type == "Identity":
            if node.inputs[0] in self._elements:
                self._elements[output] = self._source(node)
            elif node.inputs[0] in self._unknown:
                raise _UnknownError
        elif node.op_type in _FROM_SEQUENCE:
            self._elements[output] = _changed(node, self._source(node))
        else:
            _check_reader(node, self._source(node))

    def _source(self, node: ir.Node) -> list[Element]:
        """The elements that `node` reads: the list itself where nothing else reads it."""
        sequence = node.inputs[0]
        if sequence is None or sequence in self._unknown:
            raise _UnknownError
        if sequence not in self._elements:
            raise _UnknownError("the sequence is not known")
        elements = self._elements[sequence]
        # Copies of each step of a long chain of SequenceInserts would be quadratic.
        return elements if editing.is_private(sequence) else list(elements)


def _input(node: ir.Node, index: int) -> Element:
    def find() -> ir.Value:
        value = node.inputs[index]
        assert value is not None
        return value

    return find


def _changed(node: ir.Node, elements: list[Element]) -> list[Element]:
    inserts = node.op_type == "SequenceInsert"
    where = editing.input_at(node, 2 if inserts else 1)
    last = len(elements) if inserts else len(elements) - 1
    position = last if where is None else editing.scalar(where)
    if position is None:
        raise _UnknownError("the position is not constant")
    if not -len(elements) <= position <= last:
        raise _UnknownError("the position is out of range")
    if inserts:
        elements.insert(position, _input(node, 1))
    else:
        del elements[position]
    return elements


def _check_reader(node: ir.Node, elements: list[Element]) -> None:
    if node.op_type == "SequenceAt":
        index = editing.scalar(node.inputs[1])
        if index is None:
            raise _UnknownError("the index is not constant")
        if not -len(elements) <= index < len(elements):
            raise _UnknownError("the index is out of range")
    elif node.op_type == "ConcatFromSequence" and not elements:
        raise _UnknownError("the sequence is empty")


def _sizes(node: ir.Node, max_parts: int) -> list[int]:
    """The sizes of the parts that a SplitToSequence makes, along its axis."""
    given, axis = editing.input_at(node, 1), editing.attribute(node, "axis", 0)
    rank, size = editing.rank(node.inputs[0]), editing.dimension(node.inputs[0], axis)
    if rank is not None and not -rank <= axis < rank:
        raise _UnknownError("the axis is out of range")
    split = np.array(1) if given is None else editing.constant(given)
    if split is None:
        raise _UnknownError("the sizes are not constant")
    if split.ndim:
        sizes = [int(part) for part in split]
        if min(sizes, default=-1) < 0 or (size is not None and sum(sizes) != size):
            raise _UnknownError("the sizes do not add up")
    else:
        chunk = int(split)
        if given is not None and not editing.attribute(node, "keepdims", 1):
            # ONNX ignores it then. ONNX Runtime squeezes, and fails on chunks larger than 1.
            raise _UnknownError("keepdims is 0 beside a chunk size")
        if chunk < 1:
            raise _UnknownError("the chunk size is not positive")
        if size is None:
            raise _UnknownError("the dimension is not known")
        if -(-size // chunk) > max_parts:
            raise _UnknownError("there are more than max-parts parts")
        sizes = [min(chunk, size - start) for start in range(0, size, chunk)]
    if len(sizes) > max_parts:
        raise _UnknownError("there are more than max-parts parts")
    return sizes


@dataclass
class _Split:
    """The parts of a SplitToSequence; the Split is made when the first of them is asked for."""

    node: ir.Node
    sizes: list[int]
    _parts: list[ir.Value] = field(default_factory=list)
    _squeezed: dict[int, ir.Value] = field(default_factory=dict)
    _axes: ir.Value | None = None

    def part(self, index: int) -> ir.Value:
        if not self._parts:
            self._parts = self._split()
        # Only a SplitToSequence without sizes heeds its keepdims.
        keeps = editing.input_at(self.node, 1) is not None
        if keeps or editing.attribute(self.node, "keepdims", 1):
            return self._parts[index]
        if index not in self._squeezed:
            self._squeezed[index] = self._squeeze(self._parts[index])
        return self._squeezed[index]

    @property
    def _axis(self) -> int:
        return int(editing.attribute(self.node, "axis", 0))

    def _split(self) -> list[ir.Value]:
        node, source, graph = self.node, self.node.inputs[0], self.node.graph
        assert source is not None
        assert isinstance(graph, ir.Graph)
        if len(self.sizes) == 1:
            return [source]
        # Equal parts need no sizes, but how that is said differs between opset 13 and 18.
        sizes = editing.add_initializer(graph, f"{node.name}_sizes", np.array(self.sizes))
        outputs = [self._output(graph, source, index) for index in range(len(self.sizes))]
        split = ir.node(
            "Split",
            [source, sizes],
            {"axis": self._axis},
            outputs=outputs,
            name=editing.fresh_name(graph, f"{node.name}_split"),
        )
        inherit(split, [node])
        graph.insert_before(node, split)
        return outputs

    def _output(self, graph: ir.Graph, source: ir.Value, index: int) -> ir.Value:
        shape = None if source.shape is None else list(source.shape)
        if shape is not None:
            shape[self._axis] = self.sizes[index]
        return ir.Value(
            name=editing.fresh_name(graph, f"{self.node.name}_part_{index}"),
            shape=None if shape is None else ir.Shape(shape),
            type=source.type,
        )

    def _squeeze(self, part: ir.Value) -> ir.Value:
        graph = self.node.graph
        assert isinstance(graph, ir.Graph)
        if self._axes is None:
            hint = f"{self.node.name}_axes"
            self._axes = editing.add_initializer(graph, hint, np.array([self._axis]))
        shape = None if part.shape is None else list(part.shape)
        if shape is not None:
            del shape[self._axis]
        return editing.new_node(
            "Squeeze", [part, self._axes], before=self.node, sources=[self.node], shape=shape
        )
