"""Constants that lose positions when atoms of the channels that they belong to go."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.passes._pruning.edits import Edit, Keep, set_input
from lprc.passes._pruning.union import Ids


class ConstantEdit(Edit):
    """A constant that becomes smaller; several edits of one are applied one behind the other."""

    index: int

    @abc.abstractmethod
    def all_labels(self) -> list[Ids]:
        """The labels of each axis that it cuts."""

    @abc.abstractmethod
    def key(self, keep: Keep) -> bytes:
        """Equal where `cut` does the same."""

    @abc.abstractmethod
    def cut(self, array: NDArray[Any], keep: Keep) -> NDArray[Any]:
        """The smaller array."""

    @abc.abstractmethod
    def share(self, keep: Keep) -> float:
        """The fraction of elements that are left."""

    def apply(self, keep: Keep) -> None:
        """See `Edit`; `remove` does better for constants that several nodes read."""
        array = editing.constant(self.node.inputs[self.index])
        assert array is not None
        set_input(self.node, self.index, self.cut(array, keep))


@dataclass(frozen=True)
class Cut(ConstantEdit):
    """A constant that loses positions along an axis."""

    node: ir.Node
    index: int
    axis: int
    labels: Ids

    def touches(self, keep: Keep) -> bool:
        """See `Edit`."""
        return not keep[self.labels].all()

    def all_labels(self) -> list[Ids]:
        """See `ConstantEdit`."""
        return [self.labels]

    def key(self, keep: Keep) -> bytes:
        """See `ConstantEdit`."""
        return bytes([self.axis]) + keep[self.labels].tobytes()

    def cut(self, array: NDArray[Any], keep: Keep) -> NDArray[Any]:
        """See `ConstantEdit`."""
        return np.compress(keep[self.labels], array, axis=self.axis)

    def share(self, keep: Keep) -> float:
        """See `ConstantEdit`."""
        return float(keep[self.labels].mean())


@dataclass(frozen=True)
class CutBlocks(ConstantEdit):
    """The weight of a Conv that loses rows, and of each group of rows other columns.

    Attributes:
        node: The Conv or ConvTranspose.
        index: The weight's.
        rows: The labels of axis 0; None where it can't change.
        columns: The labels of axis 1 of all groups, one behind the other; None as above.
        groups: Their number.
    """

    node: ir.Node
    index: int
    rows: Ids | None
    columns: Ids | None
    groups: int

    def touches(self, keep: Keep) -> bool:
        """See `Edit`."""
        return not all(keep[labels].all() for labels in self.all_labels())

    def all_labels(self) -> list[Ids]:
        """See `ConstantEdit`."""
        return [labels for labels in (self.rows, self.columns) if labels is not None]

    def key(self, keep: Keep) -> bytes:
        """See `ConstantEdit`."""
        given = [
            b"" if each is None else keep[each].tobytes() for each in (self.rows, self.columns)
        ]
        return str(self.groups).encode() + b"|" + b"|".join(given)

    def share(self, keep: Keep) -> float:
        """See `ConstantEdit`."""
        return float(np.prod([keep[labels].mean() for labels in self.all_labels()]))

    def cut(self, array: NDArray[Any], keep: Keep) -> NDArray[Any]:
        """See `ConstantEdit`."""
        blocks = []
        for group, block in enumerate(np.split(array, self.groups)):
            if self.rows is not None:
                block = block[keep[self.rows.reshape(self.groups, -1)[group]]]
            if self.columns is not None:
                block = block[:, keep[self.columns.reshape(self.groups, -1)[group]]]
            blocks.append(block)
        return np.concatenate(blocks)
