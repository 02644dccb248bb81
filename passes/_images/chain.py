"""Operators behind one value in a row, at the front of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.passes._images.operators import Operators


class Chain:
    """A value of a graph and what is written behind it; in front of everything else.

    Args:
        graph: The graph.
        value: Where the chain begins, for instance an input.
        source: The node that the new ones stand in front of, for their origins.

    Attributes:
        value: Where it ends so far; its type and shape are known.
        operators: Writes what stands beside the chain.
    """

    def __init__(self, graph: ir.Graph, value: ir.Value, source: ir.Node) -> None:
        self.value = value
        self.operators = Operators(graph, str(value.name), [source], graph[0])

    def add(
        self,
        op_type: str,
        more: Sequence[ir.Value | None] = (),
        *,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        shape: Sequence[Any] | ir.Shape | None = None,
    ) -> None:
        """Write one operator behind the value, which it puts out from then on.

        Args:
            op_type: The operator.
            more: Its inputs besides the value.
            name: What the node is called besides the input.
            attributes: Of the operator.
            shape: Of its output; by default that of the value.
        """
        self.value = self.operators.add(
            op_type,
            [self.value, *more],
            name,
            self.value.shape if shape is None else shape,
            attributes=attributes,
        )

    def cast(self, dtype: ir.DataType) -> None:
        """Change the type, if it is another one."""
        self.value = self.operators.cast(self.value, dtype, "cast")

    def with_constant(self, op_type: str, numbers: Sequence[float], axis: int, name: str) -> None:
        """Compute with one number, or with one for each index of `axis`."""
        assert self.value.dtype is not None
        array = np.asarray(numbers, self.value.dtype.numpy())
        rank = editing.rank(self.value) or 0
        array = array[0] if array.size == 1 else array.reshape(-1, *[1] * (rank - 1 - axis))
        self.add(op_type, [self.operators.constant(name, np.asarray(array))], name=name)

    def gather(self, indices: Sequence[int], axis: int) -> None:
        """Take these indices of an axis, in their order; as many as it has."""
        order = self.operators.integers("order", indices)
        self.add("Gather", [order], name="gather", attributes={"axis": axis})

    def transpose(self, permutation: Sequence[int]) -> None:
        """Change the order of axes."""
        shape = self.value.shape
        self.add(
            "Transpose",
            name="transpose",
            attributes={"perm": list(permutation)},
            shape=None if shape is None else [shape[axis] for axis in permutation],
        )
