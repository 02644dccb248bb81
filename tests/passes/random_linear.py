"""Random linear operators with random attributes, as ONNX models."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

DTYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}


@dataclass
class Built:
    """A graph under construction."""

    generator: np.random.Generator
    dtype: str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def weight(self, name: str, *shape: int, positive: bool = False) -> str:
        array = self.generator.standard_normal(shape)
        array = np.abs(array) + 0.5 if positive else array
        self.weights.append(numpy_helper.from_array(np.asarray(array, self.dtype), name))
        return name

    def node(self, op_type: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=output, **attributes))
        return output

    def model(self, shape: list[object], rank: int) -> onnx.ModelProto:
        kind = DTYPES[self.dtype]
        graph = helper.make_graph(
            self.nodes,
            "random",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info("y", kind, [None] * rank)],
            self.weights,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        return onnx.shape_inference.infer_shapes(made)


@st.composite
def convolutions(draw, behind):
    """A Conv or ConvTranspose and what `behind(draw, built, value, channels, rank)` puts behind it."""
    built = Built(
        np.random.default_rng(draw(st.integers(0, 1000))), draw(st.sampled_from(list(DTYPES)))
    )
    spatial = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2]))
    per_in, per_out = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = draw(st.integers(1, 3))
    transposed = draw(st.booleans())
    attributes = {"group": groups}
    padding = draw(st.sampled_from(["none", "pads", "SAME_UPPER", "VALID"]))
    if padding == "pads":
        attributes["pads"] = [draw(st.integers(0, 1)) for _ in range(2 * spatial)]
    elif padding != "none":
        attributes["auto_pad"] = padding
    if draw(st.booleans()):
        attributes["strides"] = [draw(st.integers(1, 2)) for _ in range(spatial)]
    if draw(st.booleans()) and padding != "SAME_UPPER":
        attributes["dilations"] = [draw(st.integers(1, 2)) for _ in range(spatial)]
    sides = [kernel] * spatial
    shape = (groups * per_in, per_out) if transposed else (groups * per_out, per_in)
    inputs = ["x", built.weight("w", *shape, *sides)]
    if draw(st.booleans()):
        inputs.append(built.weight("c", groups * per_out))
    value = built.node("ConvTranspose" if transposed else "Conv", inputs, "linear", **attributes)
    behind(draw, built, value, groups * per_out, spatial + 2)
    return built.model([2, groups * per_in, *([7] * spatial)], spatial + 2)


@st.composite
def gemms(draw, behind):
    """A Gemm with random attributes and what is put behind it."""
    built = Built(
        np.random.default_rng(draw(st.integers(0, 1000))), draw(st.sampled_from(list(DTYPES)))
    )
    inner, channels = 3, draw(st.integers(1, 3))
    attributes = {
        "transA": draw(st.integers(0, 1)),
        "transB": draw(st.integers(0, 1)),
        "alpha": draw(st.sampled_from([1.0, 0.5, -2.0])),
        "beta": draw(st.sampled_from([1.0, 0.0, 3.0])),
    }
    rows = 4
    shape = (channels, inner) if attributes["transB"] else (inner, channels)
    inputs = ["x", built.weight("w", *shape)]
    c = draw(
        st.sampled_from([None, (), (1,), (channels,), (1, channels), (rows, 1), (rows, channels)])
    )
    if c is not None:
        inputs.append(built.weight("c", *c))
    value = built.node("Gemm", inputs, "linear", **attributes)
    behind(draw, built, value, channels, 2)
    return built.model([inner, rows] if attributes["transA"] else [rows, inner], 2)


def batch_normalization(draw, built: Built, value: str, channels: int, rank: int) -> None:
    """BatchNormalization behind `value`."""
    parameters = [built.weight(name, channels) for name in ("s", "b", "m")]
    parameters.append(built.weight("v", channels, positive=True))
    built.node(
        "BatchNormalization", [value, *parameters], "y", epsilon=draw(st.sampled_from([1e-5, 0.1]))
    )


def affine(draw, built: Built, value: str, channels: int, rank: int) -> None:
    """One to three of Add, Sub, Mul and Div by constants of all shapes that broadcast."""
    count = draw(st.integers(1, 3))
    tail = [1] * (rank - 2)
    for index in range(count):
        shapes = [
            (),
            (1,),
            (channels, *tail),
            (1, channels, *tail),
            (1,) * (rank + 1),
            (2, 1, *tail),
        ]
        constant = built.weight(f"k{index}", *draw(st.sampled_from(shapes)), positive=True)
        inputs = [value, constant] if draw(st.booleans()) else [constant, value]
        operator = draw(st.sampled_from(["Add", "Sub", "Mul", "Div"]))
        value = built.node(operator, inputs, "y" if index == count - 1 else f"a{index}")
