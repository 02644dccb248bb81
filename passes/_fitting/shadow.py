"""A copy of a graph in which chosen operators read rounded weights and rounded activations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph import editing
from lprc.core.graph.annotations import range_of
from lprc.core.onnx_io import model_io
from lprc.core.quantization.affine import Scheme, activation_params
from lprc.core.running.numerics import Arrays
from lprc.core.running.observe import observe
from lprc.passes._fitting.unfold import Unfolded


class Shadow:
    """A copy of `model` to change and to run while `model` stays as it is.

    Args:
        model: The model to copy.
        nodes: Nodes of its main graph that read a rounded activation, where one is recorded.
        scheme: How activations are rounded; None for not at all.
    """

    def __init__(self, model: ir.Model, nodes: Iterable[ir.Node], scheme: Scheme | None) -> None:
        self.model = model_io.from_proto(model_io.to_proto(model))
        self._nodes = dict(zip(model.graph, list(self.model.graph), strict=True))
        self._scheme = scheme
        self._rounded: dict[ir.Value, ir.Value] = {}
        for node in nodes:
            twin = self._nodes[node]
            twin.replace_input_with(0, self._round(twin))

    def twin(self, node: ir.Node) -> ir.Node:
        """The copy of a node."""
        return self._nodes[node]

    def inputs(self, layers: Iterable[Unfolded]) -> list[ir.Value]:
        """The activations that the copies of `layers` read."""
        values = [self.twin(layer.node).inputs[0] for layer in layers]
        return [value for value in values if value is not None]

    def set_constant(self, node: ir.Node, index: int, array: NDArray[Any]) -> None:
        """Let the copy of `node` read `array`."""
        twin = self.twin(node)
        if index >= len(twin.inputs):
            twin.resize_inputs(index + 1)
        old = twin.inputs[index]
        new = editing.add_initializer(self.model.graph, "rounded", array.astype(np.float32))
        twin.replace_input_with(index, new)
        editing.remove_dead_initializer(old)

    def rounded_twin(self, node: ir.Node, weight: NDArray[Any]) -> ir.Value:
        """Put a second copy of `node` beside the first: of rounded input and weight; its output."""
        twin = self.twin(node)
        rounded = editing.add_initializer(self.model.graph, "rounded", weight.astype(np.float32))
        return editing.new_node(
            twin.op_type, [self._round(twin), rounded, *twin.inputs[2:]], before=twin,
            sources=[twin], attributes=twin.attributes,
        )  # fmt: skip

    def _round(self, twin: ir.Node) -> ir.Value:
        value = twin.inputs[0]
        assert value is not None
        calibrated_range = range_of(value)
        if calibrated_range is None or self._scheme is None or value.dtype != ir.DataType.FLOAT:
            return value
        if value not in self._rounded:
            params = activation_params(calibrated_range, self._scheme)
            pair = [
                editing.add_initializer(self.model.graph, "scale", params.scale),
                editing.add_initializer(self.model.graph, "zero_point", params.zero_point),
            ]
            whole = editing.new_node(
                "QuantizeLinear", [value, *pair], before=twin, sources=[twin],
                dtype=ir.DataType.INT8 if params.low < 0 else ir.DataType.UINT8,
            )  # fmt: skip
            self._rounded[value] = editing.new_node(
                "DequantizeLinear", [whole, *pair], before=twin, sources=[twin],
                dtype=ir.DataType.FLOAT,
            )  # fmt: skip
        return self._rounded[value]


def observed(
    model: ir.Model, values: Sequence[ir.Value], samples: Iterable[Arrays]
) -> Iterator[list[NDArray[Any]]]:
    """`values` for each sample, in their order, running no more than they need; see `observe`."""
    names = [str(value.name) for value in values]
    part = _ancestors(model, set(names))
    by_name = {str(value.name): value for value in part.graph.inputs}
    by_name |= {str(value.name): value for node in part.graph for value in node.outputs}
    for found in observe(part, [by_name[name] for name in names], samples):
        yield [found[name] for name in names]


def _ancestors(model: ir.Model, names: set[str]) -> ir.Model:
    """A copy with only what the named values need: ONNX Runtime would run everything."""
    part = model_io.from_proto(model_io.to_proto(model))
    part.graph.outputs.clear()
    for node in reversed(list(part.graph)):
        if not any(output.uses() or output.name in names for output in node.outputs):
            part.graph.remove(node, safe=True)
    for value in list(part.graph.initializers.values()):
        editing.remove_dead_initializer(value)
    return part
