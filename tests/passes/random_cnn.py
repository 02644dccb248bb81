"""Random convolutional networks, with normalisation by statistics among the layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper


class Network:
    """A random CNN under construction."""

    def __init__(self, draw) -> None:
        self.draw = draw
        self.generator = np.random.default_rng(draw(st.integers(0, 1000)))
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op_type: str, inputs: list[str], **attributes: object) -> str:
        name = f"{op_type.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=name, **attributes))
        return name

    def weight(self, array: np.ndarray) -> str:
        name = f"w_{len(self.weights)}"
        kept = array if array.dtype == np.int64 else array.astype(np.float32)
        self.weights.append(numpy_helper.from_array(kept, name))
        return name

    def normal(self, *shape: int, fan: int = 1) -> str:
        return self.weight(self.generator.standard_normal(shape) * fan**-0.5)

    def layer(self, value: str, channels: int) -> str:
        kind = self.draw(st.sampled_from(list(self.LAYERS)))
        return self.LAYERS[kind](self, value, channels)

    def conv(self, value: str, c: int) -> str:
        inputs = [value, self.normal(c, c, 3, 3, fan=9 * c), self.normal(c)]
        return self.add("Conv", inputs, pads=[1, 1, 1, 1])

    def batch_norm(self, value: str, c: int) -> str:
        variance = self.weight(np.abs(self.generator.standard_normal(c)) + 0.5)
        return self.add(
            "BatchNormalization", [value, self.normal(c), self.normal(c), self.normal(c), variance]
        )

    def normalise(self, value: str, c: int) -> str:
        square = self.add("Mul", [value, value])
        mean = self.add("ReduceMean", [square, self.weight(np.array([1, 2, 3]))], keepdims=1)
        return self.add("Div", [value, self.add("Add", [mean, self.weight(np.array(1.0))])])

    def excite(self, value: str, c: int) -> str:
        squeezed = self.add("GlobalAveragePool", [value])
        gate = self.add("Sigmoid", [self.add("Conv", [squeezed, self.normal(c, c, 1, 1, fan=c)])])
        return self.add("Mul", [value, gate])

    def halves(self, value: str, c: int) -> str:
        split = helper.make_node(
            "Split", [value], [f"{value}_a", f"{value}_b"], axis=1, num_outputs=2
        )
        self.nodes.append(split)
        return self.add("Concat", [f"{value}_b", self.add("Tanh", [f"{value}_a"])], axis=1)

    LAYERS: ClassVar[dict[str, Callable[[Network, str, int], str]]] = {
        "Conv": conv,
        "BatchNormalization": batch_norm,
        "statistics": normalise,
        "squeeze and excite": excite,
        "Split and Concat": halves,
        "Relu": lambda self, value, c: self.add("Relu", [value]),
        "LeakyRelu": lambda self, value, c: self.add("LeakyRelu", [value], alpha=0.1),
        "residual": lambda self, value, c: self.add("Add", [value, self.conv(value, c)]),
        "scale": lambda self, value, c: self.add("Mul", [value, self.normal(c, 1, 1)]),
        "MaxPool": lambda self, value, c: self.add(
            "MaxPool", [value], kernel_shape=[3, 3], pads=[1, 1, 1, 1]
        ),
        "Softmax": lambda self, value, c: self.add("Softmax", [value], axis=1),
        "instance": lambda self, value, c: self.add(
            # A small epsilon would enlarge the rounding of channels that hardly vary.
            "InstanceNormalization",
            [value, self.normal(c), self.normal(c)],
            epsilon=0.5,
        ),
    }


@st.composite
def networks(draw):
    network, channels = Network(draw), 4
    value, outputs = "x", []
    for _ in range(draw(st.integers(1, 8))):
        value = network.layer(value, channels)
        if draw(st.integers(0, 4)) == 0:
            outputs.append(value)
    info = helper.make_tensor_value_info
    made = helper.make_graph(
        network.nodes,
        "random",
        [info("x", TensorProto.FLOAT, [draw(st.sampled_from(["N", 2])), channels, 8, 8])],
        [info(name, TensorProto.FLOAT, [None] * 4) for name in dict.fromkeys([*outputs, value])],
        network.weights,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
