"""Random chains of nodes that reshape, transpose and slice, with few or no nodes between."""

from __future__ import annotations

import math

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

SIZES = (1, 2, 3, 4, 6)
MAX_RANK = 5


class Moves:
    """A graph that grows at its end; the batch is ``N`` to ONNX and 2 here."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        rank = draw(st.integers(1, 4))
        self.shape = [2, *(draw(st.sampled_from(SIZES)) for _ in range(rank - 1))]
        self.input_shape = list(self.shape)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.values = [("x", list(self.shape))]

    def node(self, op_type: str, *numbers: list[int], **attributes: object) -> None:
        index = len(self.nodes)
        names = [f"c{index}_{place}" for place in range(len(numbers))]
        for name, array in zip(names, numbers, strict=True):
            self.constants.append(numpy_helper.from_array(np.array(array, np.int64), name))
        inputs = [self.values[-1][0], *names]
        self.nodes.append(
            helper.make_node(op_type, inputs, [f"v{index}"], f"n{index}", **attributes)
        )
        self.values.append((f"v{index}", list(self.shape)))

    def reshape(self) -> None:
        """Join two axes or split one; written with -1 for one, so that any batch fits."""
        target = list(self.shape)
        axis = self.draw(st.integers(0, len(target) - 1))
        if self.draw(st.booleans()) and axis + 1 < len(target):
            target[axis : axis + 2] = [target[axis] * target[axis + 1]]
        elif len(target) < MAX_RANK:
            divisors = [size for size in SIZES if target[axis] % size == 0]
            part = self.draw(st.sampled_from(divisors))
            target[axis : axis + 1] = [target[axis] // part, part]
        self.shape = list(target)
        open_axis = self.draw(st.integers(0, len(target) - 1))
        written = [-1 if axis == open_axis else size for axis, size in enumerate(target)]
        self.node("Reshape", written)

    def transpose(self) -> None:
        perm = self.draw(st.permutations(range(len(self.shape))))
        self.shape = [self.shape[axis] for axis in perm]
        self.node("Transpose", perm=list(perm))

    def unsqueeze(self) -> None:
        if len(self.shape) < MAX_RANK:
            axis = self.draw(st.integers(0, len(self.shape)))
            self.shape.insert(axis, 1)
            self.node("Unsqueeze", [axis])

    def squeeze(self) -> None:
        ones = [axis for axis, size in enumerate(self.shape) if size == 1]
        if ones and len(self.shape) > 1:
            axis = self.draw(st.sampled_from(ones))
            del self.shape[axis]
            self.node("Squeeze", [axis - len(self.shape) - 1])

    def flatten(self) -> None:
        axis = self.draw(st.integers(0, len(self.shape)))
        self.shape = [math.prod(self.shape[:axis]), math.prod(self.shape[axis:])]
        self.node("Flatten", axis=axis)

    def slice(self) -> None:
        axis = self.draw(st.integers(0, len(self.shape) - 1))
        start, end = self.draw(st.integers(-7, 7)), self.draw(st.integers(-7, 9))
        step = self.draw(st.sampled_from([-2, -1, 1, 1, 2]))
        length = len(range(*slice(start, end, step).indices(self.shape[axis])))
        if length:
            self.shape[axis] = length
            self.node("Slice", [start], [end], [axis], [step])

    def abs(self) -> None:
        self.node("Abs")

    def concat(self) -> None:
        if len(self.values) > 1 and math.prod(self.shape) < 500:
            axis = self.draw(st.integers(0, len(self.shape) - 1))
            value = self.values[-1][0]
            self.shape[axis] *= 2
            self.node("Concat", axis=axis)
            self.nodes[-1].input.append(value)


@st.composite
def models(draw: st.DrawFn, *, dynamic: bool) -> onnx.ModelProto:
    """A chain of up to ten nodes, the last and sometimes another value as outputs."""
    moves = Moves(draw)
    for _ in range(draw(st.integers(2, 10))):
        names = [
            "reshape",
            "transpose",
            "unsqueeze",
            "squeeze",
            "flatten",
            "slice",
            "abs",
            "concat",
        ]
        getattr(moves, draw(st.sampled_from(names)))()
    moves.abs()
    public = {moves.values[-1][0], draw(st.sampled_from(moves.values[1:]))[0]}
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * len(shape))
        for name, shape in moves.values
        if name in public
    ]
    # Where the batch was sliced, doubled or written out, only this one batch fits.
    first: list[int | str] = ["N" if dynamic else 2]
    graph = helper.make_graph(
        moves.nodes,
        "moves",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, first + moves.input_shape[1:])],
        outputs,
        moves.constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
