"""A graph of any size, of the kind that exporters write: residual blocks and shape arithmetic."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NODES_PER_BLOCK = 12
CHANNELS = 4


def synthetic_graph(nodes: int) -> onnx.ModelProto:
    """About `nodes` nodes: Conv, BatchNormalization, Relu, Add, and a Reshape by computed shape.

    Input ``x`` and output ``y`` are float32 [1, 4, 8, 8]. Weights differ from block to block.
    """
    generator = np.random.default_rng(0)
    made: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    value = "x"
    for block in range(max(1, nodes // NODES_PER_BLOCK)):
        value = _block(f"b{block}", value, generator, made, weights)
    made.append(helper.make_node("Identity", [value], ["y"]))
    shape = [1, CHANNELS, 8, 8]
    graph = helper.make_graph(
        made,
        "synthetic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _block(
    name: str,
    value: str,
    generator: np.random.Generator,
    made: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
) -> str:
    def weight(suffix: str, array: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(array, f"{name}.{suffix}"))
        return f"{name}.{suffix}"

    def node(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        output = f"{name}.{suffix}"
        made.append(
            helper.make_node(op_type, inputs, [output], name=f"{output}.node", **attributes)
        )
        return output

    kernel = (generator.standard_normal((CHANNELS, CHANNELS, 3, 3)) / 12).astype(np.float32)
    scale, bias, mean = (generator.standard_normal(CHANNELS).astype(np.float32) for _ in range(3))
    variance = generator.uniform(0.5, 2, CHANNELS).astype(np.float32)
    batch = [weight(s, a) for s, a in zip("sbmv", (scale, bias, mean, variance), strict=True)]
    conv = node("Conv", [value, weight("w", kernel)], "conv", pads=[1, 1, 1, 1])
    normal = node("BatchNormalization", [conv, *batch], "bn")
    active = node("Relu", [normal], "relu")
    shape = node("Shape", [active], "shape")
    zero = node("Constant", [], "zero", value=numpy_helper.from_array(np.array(0)))
    first = node("Gather", [shape, zero], "first")
    listed = node("Unsqueeze", [first, weight("axes", np.array([0]))], "listed")
    rest = weight("rest", np.array([CHANNELS, 8, 8]))
    target = node("Concat", [listed, rest], "target", axis=0)
    reshaped = node("Reshape", [active, target], "reshaped")
    same = node("Identity", [reshaped], "same")
    total = node("Add", [same, value], "sum")
    return node("Relu", [total], "out")
