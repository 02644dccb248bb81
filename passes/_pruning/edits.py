"""The changes to a node when atoms of the channels that it handles are removed."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.provenance import inherit
from lprc.passes._pruning.union import Ids

Keep = NDArray[np.bool_]
"""For each atom whether it stays."""


class Edit(abc.ABC):
    """One change."""

    node: ir.Node

    @abc.abstractmethod
    def touches(self, keep: Keep) -> bool:
        """Whether the node changes at all."""

    @abc.abstractmethod
    def apply(self, keep: Keep) -> None:
        """Change the node."""


@dataclass(frozen=True)
class GroupCount(Edit):
    """A Conv that loses whole groups; `labels` has one atom for each."""

    node: ir.Node
    labels: Ids

    def touches(self, keep: Keep) -> bool:
        """See `Edit`."""
        return not keep[self.labels].all()

    def apply(self, keep: Keep) -> None:
        """See `Edit`."""
        self.node.attributes["group"] = ir.AttrInt64("group", int(keep[self.labels].sum()))


@dataclass(frozen=True)
class SplitSizes(Edit):
    """A Split along channels; `parts` has the labels of each output."""

    node: ir.Node
    parts: tuple[Ids, ...]

    def touches(self, keep: Keep) -> bool:
        """See `Edit`."""
        return not all(keep[part].all() for part in self.parts)

    def apply(self, keep: Keep) -> None:
        """See `Edit`."""
        sizes = np.array([keep[part].sum() for part in self.parts], np.int64)
        set_input(self.node, 1, sizes)
        self.node.attributes.pop("num_outputs", None)


@dataclass(frozen=True)
class SliceBounds(Edit):
    """A Slice of channels: it takes `indices` of `labels`, along `axis`."""

    node: ir.Node
    axis: int
    labels: Ids
    indices: Ids

    def touches(self, keep: Keep) -> bool:
        """See `Edit`."""
        return not keep[self.labels].all()

    def apply(self, keep: Keep) -> None:
        """Keep a Slice where one will do; gather what it can't take in even steps."""
        position = np.cumsum(keep[self.labels]) - 1
        taken = position[self.indices[keep[self.labels[self.indices]]]]
        steps = np.unique(np.diff(taken))
        if len(steps) > 1:
            self._gather(taken, int(keep[self.labels].sum()))
            return
        step = int(steps[0]) if len(steps) else 1
        start, end = int(taken[0]), int(taken[-1]) + (1 if step > 0 else -1)
        # A Slice downwards to the first channel ends before it, which no plain index says.
        self._set(start, end if end >= 0 else -(2**31), step)

    def _set(self, start: int, end: int, step: int) -> None:
        rank = editing.rank(self.node.inputs[0])
        given = [editing.constant(editing.input_at(self.node, index)) for index in range(1, 5)]
        assert given[0] is not None
        size = given[0].size
        axes = np.arange(size) if given[2] is None else given[2].copy()
        steps = np.ones(size, np.int64) if given[3] is None else given[3].copy()
        here = (axes % rank if rank else axes) == self.axis
        for index, number in ((1, start), (2, end)):
            array = given[index - 1]
            assert array is not None
            set_input(self.node, index, np.where(here, number, array).astype(array.dtype))
        if (steps[here] != step).any():
            set_input(self.node, 3, axes.astype(given[0].dtype))
            set_input(self.node, 4, np.where(here, step, steps).astype(given[0].dtype))

    def _gather(self, taken: Ids, count: int) -> None:
        """Gather behind the Slice, which takes all channels and slices other axes as before."""
        self._set(0, count, 1)
        insert_behind(
            self.node,
            "Gather",
            lambda graph: [editing.add_initializer(graph, f"{self.node.name}_channels", taken)],
            {"axis": self.axis},
        )
        whole = self.node.outputs[0]
        if whole.shape is not None:
            dims = [*whole.shape]
            dims[self.axis] = count
            whole.shape = ir.Shape(dims)


@dataclass(frozen=True)
class GatherIndices(Edit):
    """A Gather of channels: it takes `indices` of `labels`."""

    node: ir.Node
    labels: Ids
    indices: Ids

    def touches(self, keep: Keep) -> bool:
        """See `Edit`."""
        return not keep[self.labels].all()

    def apply(self, keep: Keep) -> None:
        """See `Edit`."""
        position = np.cumsum(keep[self.labels]) - 1
        taken = position[self.indices[keep[self.labels[self.indices]]]]
        set_input(self.node, 1, taken.astype(np.int64))


@dataclass(frozen=True)
class Entries(Edit):
    """Numbers of a shape, of pads or of sizes that are counts of kept atoms.

    Attributes:
        node: The node.
        index: The input with the numbers.
        template: The numbers as they are now.
        counts: The labels to count, by position.
    """

    node: ir.Node
    index: int
    template: Ids
    counts: dict[int, Ids]

    def touches(self, keep: Keep) -> bool:
        """See `Edit`."""
        return not all(keep[labels].all() for labels in self.counts.values())

    def apply(self, keep: Keep) -> None:
        """See `Edit`."""
        numbers = self.template.copy()
        for position, labels in self.counts.items():
            numbers[position] = keep[labels].sum()
        set_input(self.node, self.index, numbers)


@dataclass(frozen=True)
class Share(Edit):
    """A mean over channels, of which those that go count as zero."""

    node: ir.Node
    labels: Ids

    def touches(self, keep: Keep) -> bool:
        """See `Edit`."""
        return not keep[self.labels].all()

    def apply(self, keep: Keep) -> None:
        """See `Edit`."""
        dtype = self.node.outputs[0].dtype
        share = np.array(keep[self.labels].mean(), (dtype or ir.DataType.FLOAT).numpy())
        insert_behind(
            self.node,
            "Mul",
            lambda graph: [editing.add_initializer(graph, f"{self.node.name}_share", share)],
            {},
        )


def set_input(node: ir.Node, index: int, array: NDArray[Any]) -> None:
    """Let a node read `array` as an initialiser of its own, which takes over the old one's name."""
    graph = node.graph
    assert isinstance(graph, ir.Graph)
    old = editing.input_at(node, index)
    if index >= len(node.inputs):
        node.resize_inputs(index + 1)
    hint = old.name if old is not None and old.name else f"{node.name or node.op_type}_{index}"
    new = editing.add_initializer(graph, hint, array)
    node.replace_input_with(index, new)
    drop(old, new)


def drop(old: ir.Value | None, new: ir.Value) -> None:
    """Remove `old`, for which `new` stands now, if nothing else reads it; `new` gets its name."""
    if old is None:
        return
    if old.producer() is not None:
        editing.remove_dead([old.producer()])
        return
    editing.remove_dead_initializer(old)
    editing.inherit_name(new, old)


def insert_behind(node: ir.Node, op_type: str, others: Any, attributes: dict[str, Any]) -> None:
    """Put a node behind the first output of `node`; users and graph outputs read its output."""
    graph, output = node.graph, node.outputs[0]
    assert isinstance(graph, ir.Graph)
    users = list(output.uses())
    inner = ir.Value(
        name=editing.fresh_name(graph, f"{output.name}_all"), shape=output.shape, type=output.type
    )
    follower = ir.node(
        op_type, [output, *others(graph)], attributes, outputs=[inner],
        name=editing.fresh_name(graph, f"{node.name}_{op_type.lower()}"),
    )  # fmt: skip
    graph.insert_after(node, follower)
    inherit(follower, [node])
    for use in users:
        use.node.replace_input_with(use.idx, inner)
    if output.is_graph_output():
        for index, value in enumerate(graph.outputs):
            if value is output:
                graph.outputs[index] = inner
        inner.name, output.name = output.name, inner.name
