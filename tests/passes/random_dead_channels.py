"""Random CNNs some of whose Convs have channels that are their bias everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

SIDE = 5


class DeadNetwork:
    """A graph under construction; every value is [2, channels, SIDE, SIDE]."""

    def __init__(self, draw) -> None:
        self.draw = draw
        self.generator = np.random.default_rng(draw(st.integers(0, 2**31)))
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.values: list[tuple[str, int]] = [("x", 3)]
        self.outputs: list[str] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.weights)}"
        kept = array if array.dtype == np.int64 else array.astype(np.float32)
        self.weights.append(numpy_helper.from_array(kept, name))
        return name

    def floats(self, *shape: int) -> str:
        return self.constant(self.generator.standard_normal(shape) / 2)

    def node(self, op: str, inputs: list[str], **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, inputs, [name], name=f"n{len(self.nodes)}", **attributes)
        )
        return name

    def push(self, name: str, channels: int) -> None:
        self.values.append((name, channels))

    def source(self) -> tuple[str, int]:
        """Mostly the last value: one that many nodes use blocks more than it tests."""
        last = st.just(-1)
        return self.values[self.draw(st.one_of(last, last, st.integers(-len(self.values), -1)))]

    def dead(self, channels: int) -> np.ndarray:
        kind = self.draw(st.sampled_from(["none", "some", "some", "most", "all but one"]))
        share = {"none": 0.0, "some": 0.4, "most": 0.8, "all but one": 1.0}[kind]
        rows = self.generator.random(channels) < share
        if kind != "none":
            rows[self.generator.integers(channels)] = False
        return rows

    def filters(self, rows: np.ndarray, *shape: int) -> tuple[str, str]:
        weight = self.generator.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        weight[rows] = 0
        bias = self.generator.standard_normal(shape[0])
        style = self.draw(st.sampled_from(["any", "zero", "positive", "negative"]))
        bias[rows] *= 0 if style == "zero" else 1
        bias[rows] = {"positive": np.abs, "negative": lambda b: -np.abs(b)}.get(style, lambda b: b)(
            bias[rows]
        )
        return self.constant(weight), self.constant(bias) if self.draw(st.integers(0, 4)) else ""

    def conv(self, name: str, channels: int) -> None:
        out = self.draw(st.sampled_from([2, 3, 4, 6]))
        kernel = self.draw(st.sampled_from([1, 1, 3]))
        weight, bias = self.filters(self.dead(out), out, channels, kernel, kernel)
        inputs = [name, weight, bias] if bias else [name, weight]
        self.push(self.node("Conv", inputs, pads=[kernel // 2] * 4), out)

    def depthwise(self, name: str, channels: int) -> None:
        if channels == 1:
            return
        kernel = self.draw(st.sampled_from([1, 3]))
        weight, bias = self.filters(self.dead(channels), channels, 1, kernel, kernel)
        inputs = [name, weight, bias] if bias else [name, weight]
        pads = [kernel // 2] * 4
        self.push(self.node("Conv", inputs, group=channels, pads=pads), channels)

    def activation(self, name: str, channels: int) -> None:
        op = self.draw(st.sampled_from(["Relu", "Relu", "Relu", "LeakyRelu", "Clip", "Sigmoid"]))
        bounds = [self.constant(np.array(b)) for b in (0.0, 1.0)] if op == "Clip" else []
        self.push(self.node(op, [name, *bounds]), channels)

    def pool(self, name: str, channels: int) -> None:
        op = self.draw(st.sampled_from(["MaxPool", "AveragePool"]))
        more = {"count_include_pad": self.draw(st.integers(0, 1))} if op == "AveragePool" else {}
        self.push(self.node(op, [name], kernel_shape=[3, 3], pads=[1] * 4, **more), channels)

    def scale(self, name: str, channels: int) -> None:
        op = self.draw(st.sampled_from(["Add", "Sub", "Mul", "Div"]))
        shape = self.draw(st.sampled_from([(), (1,), (channels, 1, 1), (1, channels, 1, 1)]))
        array = np.abs(self.generator.standard_normal(shape)) + 0.5
        inputs = [name, self.constant(array)]
        swapped = self.draw(st.integers(0, 3)) == 0 and op != "Div"
        self.push(self.node(op, inputs[::-1] if swapped else inputs), channels)

    def add(self, name: str, channels: int) -> None:
        same = [value for value in self.values if value[1] == channels]
        op = self.draw(st.sampled_from(["Add", "Add", "Sub", "Mul"]))
        self.push(self.node(op, [name, self.draw(st.sampled_from(same))[0]]), channels)

    def concat(self, name: str, channels: int) -> None:
        other = self.draw(st.sampled_from(self.values))
        if channels + other[1] <= 12:
            axis = self.draw(st.sampled_from([1, -3]))
            self.push(self.node("Concat", [name, other[0]], axis=axis), channels + other[1])

    def channel_slice(self, name: str, channels: int) -> None:
        first, step = (
            self.draw(st.integers(0, channels - 1)),
            self.draw(st.sampled_from([1, 2, -1])),
        )
        bounds = [first, 99 if step > 0 else -99, 1, step]
        taken = len(range(channels)[bounds[0] :: step])
        inputs = [name, *(self.constant(np.array([b])) for b in bounds)]
        self.push(self.node("Slice", inputs), taken)

    def statistic(self, name: str, channels: int) -> None:
        """LPRNet's global context: f / mean(f * f)."""
        axes = self.draw(st.sampled_from([[1, 2, 3], [1], [2, 3]]))
        square = self.node("Mul", [name, name]) if self.draw(st.booleans()) else name
        mean = self.node("ReduceMean", [square, self.constant(np.array(axes))])
        if square == name:
            mean = self.node("Tanh", [mean])
            self.push(self.node("Mul", [name, mean]), channels)
        else:
            shifted = self.node("Add", [mean, self.constant(np.array(1.0))])
            self.push(self.node("Div", [name, shifted]), channels)

    def gate(self, name: str, channels: int) -> None:
        pooled = self.node("GlobalAveragePool", [name])
        gate = self.node(
            "Sigmoid", [self.node("Conv", [pooled, self.floats(channels, channels, 1, 1)])]
        )
        self.push(self.node("Mul", [name, gate]), channels)

    def total(self, name: str, channels: int) -> None:
        """A sum over channels that leaves the graph, and one that does not."""
        op = self.draw(st.sampled_from(["ReduceSum", "ReduceMean", "ReduceMax"]))
        made = self.node(op, [name, self.constant(np.array([1, 2]))])
        if self.draw(st.booleans()):
            self.outputs.append(made)
        else:
            self.outputs.append(self.node("Tanh", [made]))

    LAYERS: ClassVar[dict[str, Callable[[DeadNetwork, str, int], None]]] = {
        "conv": conv, "conv again": conv, "conv more": conv, "depthwise": depthwise,
        "activation": activation, "activation again": activation, "pool": pool, "scale": scale,
        "add": add, "concat": concat, "slice": channel_slice, "statistic": statistic, "gate": gate,
        "total": total,
    }  # fmt: skip

    def model(self) -> onnx.ModelProto:
        read = {name for node in self.nodes for name in node.input}
        for name, channels in [value for value in self.values[1:] if value[0] not in read]:
            weight = self.floats(2, channels, 1, 1)
            self.outputs.append(self.node("Conv", [name, weight]))
        info = helper.make_tensor_value_info
        outputs = [info(name, TensorProto.FLOAT, [None] * 4) for name in self.outputs]
        x = info("x", TensorProto.FLOAT, [2, 3, SIDE, SIDE])
        graph = helper.make_graph(self.nodes, "dead", [x], outputs, self.weights)
        opset = [helper.make_opsetid("", 20)]
        return onnx.shape_inference.infer_shapes(
            helper.make_model(graph, opset_imports=opset, ir_version=9)
        )


@st.composite
def dead_networks(draw) -> onnx.ModelProto:
    """A CNN of a few layers in which Convs have constant channels."""
    network = DeadNetwork(draw)
    network.conv("x", 3)
    for _ in range(draw(st.integers(2, 10))):
        kind = draw(st.sampled_from(list(network.LAYERS)))
        network.LAYERS[kind](network, *network.source())
    return network.model()
