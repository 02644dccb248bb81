"""A value of each of two graphs as terms over the values that both graphs have in front of them."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.proof.moving import Mover
from lprc.core.proof.numbering import Numbering
from lprc.core.proof.semantics import MEANINGS, Meaning, Surroundings, evaluate
from lprc.core.proof.tensors import Tensor
from lprc.core.proof.terms import NotProvedError, Terms

MOST_ELEMENTS = 1 << 20
"""Of one tensor in a window."""

MOST_NODES = 60


class Window:
    """The smallest part of both graphs between values that both have and one pair of values.

    Args:
        numbering: Of both graphs.
        mover: Runs operators that move.
        opened: Numbers of common values to look behind; by default where graphs agree, it ends.
        one_position: Of `at_one_position`: shapes of its inputs by number, instead of their own.

    Attributes:
        terms: The table.
        boundary: The numbers of its inputs, in the order in which they were met.
        nodes: The nodes in it, of either graph.
        new_constants: The float constants in it that only the graph after has.
        opened: As given.
        is_at_one_position: Whether shapes were given.
    """

    def __init__(
        self,
        numbering: Numbering,
        mover: Mover,
        opened: frozenset[int] = frozenset(),
        one_position: Mapping[int, tuple[int, ...]] | None = None,
    ) -> None:
        self.terms = Terms()
        self.boundary: dict[int, Tensor] = {}
        self.nodes: list[ir.Node] = []
        self.new_constants: list[ir.Value] = []
        self._numbering = numbering
        self.opened = opened
        self.is_at_one_position = one_position is not None
        self._shapes = one_position or {}
        self._tensors: dict[int, Tensor] = {}
        self._around = Surroundings(
            self.terms, mover, shape_of, lambda value: value.dtype, self.is_at_one_position
        )

    def tensor(self, value: ir.Value) -> Tensor:
        """A value as terms.

        Raises:
            NotProvedError: A node can't be interpreted, or a tensor is too large.
        """
        # Not by recursion: chains may be longer than Python's stack.
        pending = [value]
        while pending:
            top = pending[-1]
            number = self._numbering.number(top)
            if number in self._tensors:
                pending.pop()
                continue
            node = self._numbering.behind(top, self.opened)
            missing = [] if node is None else self._missing(node)
            if missing:
                pending += missing
                continue
            pending.pop()
            if node is None:
                self._tensors[number] = self._leaf(top, number)
            else:
                self._evaluate(node)
                if number not in self._tensors:
                    raise NotProvedError(f"{node.op_type}: not all of its outputs are interpreted")
        return self._tensors[self._numbering.number(value)]

    def can_open(self) -> frozenset[int]:
        """The numbers of its inputs that nodes make whose results mean something."""
        return frozenset(number for number in self.boundary if self._may_open(number))

    def _may_open(self, number: int) -> bool:
        node = self._numbering.members[number].producer()
        return node is not None and MEANINGS.get(node.op_type) not in (None, Meaning.REFUSED)

    def _missing(self, node: ir.Node) -> list[ir.Value]:
        return [
            value
            for value in node.inputs
            if value is not None and self._numbering.number(value) not in self._tensors
        ]

    def _leaf(self, value: ir.Value, number: int) -> Tensor:
        array = editing.constant(value)
        if array is not None:
            require_size(array.size)
            if number not in self._numbering.of_before and array.dtype.kind not in "iubOUS":
                self.new_constants.append(value)
            return Tensor(self.terms.constants(array), value.dtype)
        member = self._numbering.members[number]
        shape = self._shapes[number] if number in self._shapes else shape_of(member)
        tensor = Tensor(self.terms.variables(number, shape), member.dtype)
        self.boundary[number] = tensor
        return tensor

    def _evaluate(self, node: ir.Node) -> None:
        self.nodes.append(node)
        if len(self.nodes) > MOST_NODES:
            raise NotProvedError(f"a window of more than {MOST_NODES} nodes is over the limit")
        inputs = [
            None if value is None else self._tensors[self._numbering.number(value)]
            for value in node.inputs
        ]
        outputs = evaluate(node, inputs, self._around)
        for value, tensor in zip(node.outputs, outputs, strict=False):
            require_size(tensor.ids.size)
            self._tensors.setdefault(self._numbering.number(value), tensor)
        for value in node.outputs[len(outputs) :]:
            self._refuse_output(value, node)

    def _refuse_output(self, value: ir.Value, node: ir.Node) -> None:
        """Further outputs are not understood; variables of their own are, but no equal ones."""
        if value.name and value.shape is not None:
            number = self._numbering.number(value)
            shape = shape_of(self._numbering.members[number])
            tensor = Tensor(self.terms.variables(("output", number), shape), value.dtype)
            self._tensors.setdefault(number, tensor)


def require_size(count: int) -> None:
    """Refuse a tensor that is too large.

    Raises:
        NotProvedError: It has too many elements.
    """
    if count > MOST_ELEMENTS:
        raise NotProvedError(f"a window of {count:,} elements is over the limit, {MOST_ELEMENTS:,}")


def shape_of(value: ir.Value) -> tuple[int, ...]:
    """The sizes of a value.

    Raises:
        NotProvedError: One is not known, or the tensor is too large.
    """
    shape = editing.static_shape(value)
    if shape is None or not isinstance(value.type, (ir.TensorType, type(None))):
        raise NotProvedError(f"the shape of '{value.name}' is not known")
    count = 1
    for size in shape:
        count *= size
    require_size(count)
    return shape
