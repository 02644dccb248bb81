"""Random chains of linear operators with what may stand between them, badly scaled."""

from __future__ import annotations

import numpy as np
import onnx
from hypothesis import strategies as st
from random_linear import DTYPES, Built

UNARY = ["Relu", "LeakyRelu", "Identity", "Abs", "Neg", "Dropout", "Sigmoid", "Tanh"]


def badly_scaled(built: Built, name: str, *shape: int, axis: int) -> str:
    """A weight whose slices along `axis` differ by factors of up to a thousand; some are zero."""
    array = built.generator.standard_normal(shape)
    factor = 10.0 ** built.generator.uniform(-2, 1, shape[axis])
    factor[built.generator.random(shape[axis]) < 0.1] = 0
    array = array * factor.reshape([-1 if each == axis else 1 for each in range(len(shape))])
    built.weights.append(onnx.numpy_helper.from_array(np.asarray(array, built.dtype), name))
    return name


class Chain:
    """A graph that grows at its end; `value` has `channels` on axis 1 (or the last, if flat)."""

    def __init__(self, draw) -> None:
        self.draw = draw
        seed = draw(st.integers(0, 1000))
        self.built = Built(np.random.default_rng(seed), draw(st.sampled_from(list(DTYPES))))
        self.value, self.channels, self.number = "x", draw(st.integers(1, 4)), 0
        self.sides = 8
        self.shape = [2, self.channels, self.sides, self.sides]

    def name(self, word: str) -> str:
        self.number += 1
        return f"{word}{self.number}"

    def node(self, op_type: str, *constants: str, **attributes: object) -> None:
        inputs = [self.value, *constants]
        self.value = self.built.node(op_type, inputs, self.name(op_type), **attributes)

    def convolution(self) -> None:
        depthwise, transposed = self.draw(st.booleans()), self.draw(st.booleans())
        groups = self.channels if depthwise else 1
        out = 1 if depthwise else self.draw(st.integers(1, 4))
        kernel = self.draw(st.sampled_from([1, 3]))
        padding = kernel // 2
        first = self.channels if transposed else groups * out
        second = out if transposed else self.channels // groups
        weight = badly_scaled(
            self.built, self.name("w"), first, second, kernel, kernel, axis=int(transposed)
        )
        constants = [weight]
        if self.draw(st.booleans()):
            constants.append(self.built.weight(self.name("b"), groups * out))
        self.node(
            "ConvTranspose" if transposed else "Conv",
            *constants,
            group=groups,
            pads=[padding] * 4,
        )
        self.channels = groups * out

    def pool(self) -> None:
        if self.sides < 4:
            return
        self.node(
            self.draw(st.sampled_from(["MaxPool", "AveragePool", "LpPool"])),
            kernel_shape=[2, 2],
            strides=[2, 2],
        )
        self.sides //= 2

    def slice(self) -> None:
        step = self.draw(st.integers(1, 2))
        constants = [self.name(word) for word in ("starts", "ends", "axes", "steps")]
        for constant, number in zip(constants, (0, self.channels, 1, step), strict=True):
            array = np.array([number], np.int64)
            self.built.weights.append(onnx.numpy_helper.from_array(array, constant))
        self.node("Slice", *constants)
        self.channels = len(range(0, self.channels, step))

    def concat(self) -> None:
        """A second convolution of the graph's input joins the chain."""
        if self.sides != 8:
            return
        out = self.draw(st.integers(1, 3))
        weight = badly_scaled(self.built, self.name("w"), out, self.shape[1], 1, 1, axis=0)
        other = self.built.node("Conv", ["x", weight], self.name("Conv"))
        if self.draw(st.booleans()):
            other = self.built.node("Sigmoid", [other], self.name("Sigmoid"))
        self.node("Concat", other, axis=1)
        self.channels += out

    def offset(self) -> None:
        constant = self.built.weight(
            self.name("k"), self.draw(st.sampled_from([1, self.channels])), 1, 1
        )
        self.node(self.draw(st.sampled_from(["Add", "Sub", "Mul"])), constant)

    def unary(self) -> None:
        self.node(self.draw(st.sampled_from(UNARY)))

    def finish(self) -> onnx.ModelProto:
        rank = 4
        if self.draw(st.booleans()):
            if self.draw(st.booleans()):
                self.node("GlobalAveragePool")
                self.sides = 1
            self.node("Flatten")
            inner = self.channels * self.sides**2
            weight = badly_scaled(self.built, self.name("w"), 3, inner, axis=1)
            self.node("Gemm", weight, transB=1, alpha=self.draw(st.sampled_from([1.0, -0.5])))
            rank = 2
        self.built.nodes.append(onnx.helper.make_node("Identity", [self.value], ["y"]))
        return self.built.model(self.shape, rank)


@st.composite
def chains(draw):
    """Two to ten random parts, then perhaps a Gemm."""
    chain = Chain(draw)
    parts = ["convolution"] * 4 + ["unary"] * 3 + ["pool", "slice", "concat", "offset"]
    chain.convolution()
    for part in draw(st.lists(st.sampled_from(parts), min_size=2, max_size=10)):
        getattr(chain, part)()
    return chain.finish()
