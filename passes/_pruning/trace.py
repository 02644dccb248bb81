"""The labels of the channels of a graph, collected while its nodes are followed in order.

Each channel that an operator makes is an *atom*. An axis of a value has *labels*: the atom of each
of its positions. Atoms that must stay or go together are joined, and those that something needs are
protected. The idea of groups found from dependencies is of Fang, Ma, Song, Mi and Wang, "DepGraph:
Towards Any Structural Pruning", CVPR 2023; here it is a matter of labels, so that Concat, Slice,
Pad and Reshape need no index arithmetic of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from lprc.passes._pruning.edits import Edit
from lprc.passes._pruning.union import Ids

Axes = dict[int, Ids]
"""The labels of a value's axes; an axis that has none can't change."""


@dataclass(frozen=True)
class Source:
    """An operator that makes channels.

    Attributes:
        node: The operator.
        labels: The channels that it makes.
    """

    node: ir.Node
    labels: Ids


@dataclass(frozen=True)
class Layer:
    """A linear operator with a constant weight.

    Attributes:
        node: The operator.
        index: Which input the weight is.
        in_axis: The axis of the weight with the input channels (of one group, for Conv).
        out_axis: The axis of the weight with the output channels (of one group, for ConvTranspose).
        inputs: The labels of all input channels; None where they can't change.
        outputs: The labels of all output channels; None where they can't change.
        groups: Of a Conv or ConvTranspose; 1 for the others.
        whole_groups: Whether groups go as a whole, so that their number changes.
    """

    node: ir.Node
    index: int
    in_axis: int
    out_axis: int
    inputs: Ids | None
    outputs: Ids | None
    groups: int = 1
    whole_groups: bool = False


@dataclass(frozen=True)
class Protection:
    """Atoms that must stay, and why."""

    labels: Ids
    node: ir.Node | None
    reason: str


@dataclass
class Trace:
    """The labels, edits and protections found so far.

    Attributes:
        labels: The axes of each value that has some.
        edits: The changes to the graph when atoms are removed.
        layers: The linear operators.
        sources: The nodes that make channels.
        parts: Label arrays that must not become empty, besides those of sources.
        protections: The atoms that must stay, and why.
        joined: Pairs of arrays of atoms of which each pair must stay or go together.
        balanced: Of which labels each row must keep as many as the others, and for which operator.
        count: The number of atoms.
    """

    labels: dict[ir.Value, Axes] = field(default_factory=dict)
    edits: list[Edit] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    parts: list[Ids] = field(default_factory=list)
    protections: list[Protection] = field(default_factory=list)
    joined: list[tuple[Ids, Ids]] = field(default_factory=list)
    balanced: list[tuple[ir.Node, Ids]] = field(default_factory=list)
    count: int = 0

    def of(self, value: ir.Value | None) -> Axes:
        """The labels of a value's axes; not to be changed."""
        return {} if value is None else self.labels.get(value, {})

    def fresh(self, size: int) -> Ids:
        """New atoms."""
        first, self.count = self.count, self.count + size
        return np.arange(first, self.count, dtype=np.int64)

    def source(self, node: ir.Node, size: int) -> Ids:
        """The channels that `node` makes."""
        labels = self.fresh(size)
        self.sources.append(Source(node, labels))
        return labels

    def join(self, first: Ids, second: Ids) -> None:
        """Each atom of `first` stays or goes with that of `second` at the same place."""
        if first is not second:
            self.joined.append((first, second))

    def join_rows(self, labels: Ids, axis: int) -> Ids:
        """Join all atoms that differ in other axes than `axis`; give one of each that remain."""
        moved = np.moveaxis(labels, axis, 0).reshape(labels.shape[axis], -1)
        if moved.shape[1] > 1:
            self.join(np.repeat(moved[:, :1], moved.shape[1] - 1, axis=1).reshape(-1),
                      moved[:, 1:].reshape(-1))  # fmt: skip
        return np.ascontiguousarray(moved[:, 0])

    def protect(self, node: ir.Node, reason: str, labels: Iterable[Ids]) -> None:
        """Keep `labels`, because of `node`."""
        self.protections += [Protection(each, node, reason) for each in labels]

    def protect_value(self, node: ir.Node, value: ir.Value | None, reason: str) -> None:
        """Keep all labels of `value`."""
        self.protect(node, reason, self.of(value).values())

    def set(self, value: ir.Value, axes: Axes) -> None:
        """Say what the axes of `value` are."""
        if axes:
            self.labels[value] = axes
