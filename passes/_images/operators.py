"""Operators written in front of a node, or behind everything else in a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from lprc.core.graph import editing
from lprc.core.graph.provenance import inherit


class Operators:
    """Writes operators, at a graph's end or in front of a node.

    Args:
        graph: The graph.
        name: What the nodes' names begin with, for instance an input's or output's.
        sources: The nodes that they serve, for their origins.
        before: What to write them in front of; None for the end.
    """

    def __init__(
        self,
        graph: ir.Graph,
        name: str,
        sources: Sequence[ir.Node],
        before: ir.Node | None = None,
    ) -> None:
        self._graph = graph
        self._name = name
        self._sources = sources
        self._before = before

    def constant(self, name: str, array: np.ndarray) -> ir.Value:
        """An initialiser."""
        return editing.add_initializer(self._graph, f"{self._name}_{name}", array)

    def integers(self, name: str, numbers: Sequence[int]) -> ir.Value:
        """An initialiser of int64 [numbers]: axes, sizes and the like."""
        return self.constant(name, np.array(numbers, np.int64))

    def add(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        name: str,
        shape: Sequence[Any] | ir.Shape | None,
        *,
        dtype: ir.DataType | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> ir.Value:
        """Write one operator.

        Args:
            op_type: Of the ONNX domain.
            inputs: None for one that is left out.
            name: What the node is called besides.
            shape: Of its output; None where it depends on the data.
            dtype: Of its output; by default that of the first input.
            attributes: As Python data.
        """
        hint = f"{self._name}_{name}"
        if dtype is None and inputs[0] is not None:
            dtype = inputs[0].dtype
        assert dtype is not None
        output = ir.Value(
            name=editing.fresh_name(self._graph, f"{hint}_out"),
            shape=None if shape is None else ir.Shape(list(shape)),
            type=ir.TensorType(dtype),
        )
        node = ir.node(
            op_type,
            inputs,
            attributes or {},
            outputs=[output],
            name=editing.fresh_name(self._graph, hint),
        )
        inherit(node, self._sources)
        if self._before is None:
            self._graph.append(node)
        else:
            self._graph.insert_before(self._before, node)
        return output

    def cast(self, value: ir.Value, dtype: ir.DataType, name: str) -> ir.Value:
        """A value in another type, or itself."""
        if value.dtype == dtype:
            return value
        return self.add(
            "Cast", [value], name, value.shape, dtype=dtype, attributes={"to": int(dtype)}
        )
