"""Random SplitToSequences, and readers of what comes out."""

from __future__ import annotations

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper


@st.composite
def splits(draw) -> onnx.ModelProto:
    """SplitToSequence of any axis, sizes and keepdims, and readers of every kind."""
    shape = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    size, kind = shape[axis], draw(st.sampled_from(["none", "chunk", "sizes"]))
    constants, keepdims = [], draw(st.integers(0, 1))
    parts = size
    if kind == "chunk":
        chunk = draw(st.integers(1, size + 1))
        parts, keepdims = -(-size // chunk), 1
        constants = [numpy_helper.from_array(np.array(chunk), "sizes")]
    elif kind == "sizes":
        cuts = sorted(draw(st.lists(st.integers(0, size), max_size=4)))
        sizes = np.diff([0, *cuts, size])
        parts, constants = len(sizes), [numpy_helper.from_array(sizes, "sizes")]
    nodes = [
        helper.make_node(
            "SplitToSequence", ["x", *(each.name for each in constants)], ["s"], name="split",
            axis=axis, keepdims=keepdims,
        )
    ]  # fmt: skip
    outputs = []
    for number in range(draw(st.integers(1, 4))):
        index = draw(st.integers(-parts, parts - 1))
        constants.append(numpy_helper.from_array(np.array(index), f"i{number}"))
        nodes.append(helper.make_node("SequenceAt", ["s", f"i{number}"], [f"y{number}"]))
        outputs.append((f"y{number}", len(shape) - (kind == "none" and not keepdims)))
    if draw(st.booleans()):
        nodes.append(helper.make_node("SequenceLength", ["s"], ["length"]))
        outputs.append(("length", 0))
    if keepdims or kind == "sizes":
        nodes.append(helper.make_node("ConcatFromSequence", ["s"], ["c"], axis=axis))
        outputs.append(("c", len(shape)))
    for number, node in enumerate(nodes):
        node.name = f"n{number}"
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    infos = [
        helper.make_tensor_value_info(
            name,
            TensorProto.INT64 if name == "length" else TensorProto.FLOAT,
            [f"{name}_{each}" for each in range(rank)],
        )
        for name, rank in outputs
    ]
    graph = helper.make_graph(nodes, "g", [image], infos, constants)
    opset = draw(st.sampled_from([13, 17, 18, 20]))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
