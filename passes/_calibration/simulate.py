"""A graph whose activations are quantised with parameters that are inputs, to try many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph.annotations import Range
from lprc.core.onnx_io.model_io import to_proto
from lprc.core.quantization.affine import Scheme, activation_params
from lprc.core.running.numerics import Arrays, Session


class Simulation:
    """Runs a float graph with some activations quantised and dequantised on the way.

    Scales and zero-points are inputs of the graph, so that it is loaded once however many ranges
    are tried. Weights stay float: their grids do not depend on ranges.

    Args:
        model: The graph; it is not changed.
        values: The activations to quantise: outputs of nodes of the main graph.
        scheme: How.

    Raises:
        RunError: ONNX Runtime refuses the graph.
    """

    def __init__(self, model: ir.Model, values: Sequence[ir.Value], scheme: Scheme) -> None:
        self._scheme = scheme
        self.names = [value.name or "" for value in values]
        proto = to_proto(model)
        _insert(proto.graph, self.names)
        self._session = Session(proto.SerializeToString(), optimize=True, threads=2)

    def run(self, inputs: Arrays, ranges: Mapping[str, Range]) -> dict[str, NDArray[Any]]:
        """The outputs for one set of inputs, with each activation quantised to its range."""
        fed: dict[str, Any] = dict(inputs)
        for name in self.names:
            params = activation_params(ranges[name], self._scheme)
            # One type for all: the integers are exact in float32, and so is their clipping.
            fed[f"{name}{_SCALE}"] = params.scale
            fed[f"{name}{_ZERO}"] = np.array(int(params.zero_point), np.float32)
            fed[f"{name}{_LOW}"] = np.array(params.low, np.float32)
            fed[f"{name}{_HIGH}"] = np.array(params.high, np.float32)
        return self._session.run(fed)


_SCALE, _ZERO, _LOW, _HIGH = ":scale", ":zero", ":low", ":high"


def _insert(graph: onnx.GraphProto, names: Sequence[str]) -> None:
    """Put ``(clip(round(x / s) + z) - z) * s`` behind each value, for all that read it."""
    quantized = {name: f"{name}:quantized" for name in names}
    for name in names:
        for suffix in (_SCALE, _ZERO, _LOW, _HIGH):
            graph.input.append(
                onnx.helper.make_tensor_value_info(f"{name}{suffix}", onnx.TensorProto.FLOAT, [])
            )
    nodes: list[onnx.NodeProto] = []
    for name in names:
        if any(value.name == name for value in graph.input):
            nodes += _chain(name)
    for node in graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [quantized.get(name, name) for name in node.input]
        nodes.append(copy)
        for output in node.output:
            if output in quantized:
                nodes += _chain(output)
    del graph.node[:]
    graph.node.extend(nodes)


def _chain(name: str) -> list[onnx.NodeProto]:
    steps = [
        ("Div", [name, f"{name}{_SCALE}"], "divided"),
        ("Round", [f"{name}:divided"], "rounded"),
        ("Add", [f"{name}:rounded", f"{name}{_ZERO}"], "moved"),
        ("Clip", [f"{name}:moved", f"{name}{_LOW}", f"{name}{_HIGH}"], "clipped"),
        ("Sub", [f"{name}:clipped", f"{name}{_ZERO}"], "centred"),
        ("Mul", [f"{name}:centred", f"{name}{_SCALE}"], "quantized"),
    ]
    return [
        onnx.helper.make_node(op_type, inputs, [f"{name}:{suffix}"], name=f"{name}:{suffix}")
        for op_type, inputs, suffix in steps
    ]
