"""Operators behind one value in a row, at the front of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing


class Chain:
    """A value of a graph and what is written behind it; in front of everything else.

    Args:
        graph: The graph.
        value: Where the chain begins, for instance an input.
        source: The node that the new ones stand in front of, for their origins.

    Attributes:
        value: Where it ends so far; its type and shape are known.
    """

    def __init__(self, graph: ir.Graph, value: ir.Value, source: ir.Node) -> None:
        self.value = value
        self._graph = graph
        self._name = str(value.name)
        self._source = source
        self._before = graph[0]

    def add(
        self,
        op_type: str,
        more: Sequence[ir.Value | None] = (),
        *,
        name: str,
        attributes: Mapping[str, Any] | None = None,
        dtype: ir.DataType | None = None,
        shape: Sequence[Any] | ir.Shape | None = None,
    ) -> ir.Value:
        """Write one operator behind the value, which it puts out from then on.

        Args:
            op_type: The operator.
            more: Its inputs besides the value.
            name: What the node is called besides the input.
            attributes: Of the operator.
            dtype: Of its output; by default that of the value.
            shape: Of its output; by default that of the value.
        """
        self.value = editing.new_node(
            op_type,
            [self.value, *more],
            before=self._before,
            sources=[self._source],
            attributes=attributes,
            name=f"{self._name}_{name}",
            dtype=dtype,
            shape=self.value.shape if shape is None else shape,
        )
        return self.value

    def constant(self, name: str, array: np.ndarray) -> ir.Value:
        """An initialiser, called after the input."""
        return editing.add_initializer(self._graph, f"{self._name}_{name}", array)

    def cast(self, dtype: ir.DataType) -> None:
        """Change the type, if it is another one."""
        if self.value.dtype != dtype:
            self.add("Cast", name="cast", attributes={"to": int(dtype)}, dtype=dtype)

    def with_constant(self, op_type: str, numbers: Sequence[float], axis: int, name: str) -> None:
        """Compute with one number, or with one for each index of `axis`."""
        assert self.value.dtype is not None
        array = np.asarray(numbers, self.value.dtype.numpy())
        rank = editing.rank(self.value) or 0
        array = array[0] if array.size == 1 else array.reshape(-1, *[1] * (rank - 1 - axis))
        self.add(op_type, [self.constant(name, np.asarray(array))], name=name)

    def gather(self, indices: Sequence[int], axis: int) -> None:
        """Take these indices of an axis, in their order; as many as it has."""
        order = self.constant("order", np.array(indices, np.int64))
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
