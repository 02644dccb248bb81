from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from lprc.passes.split_channels import SplitChannels

SHAPES = {"w": (8, 4, 3, 3), "b": (8,), "v": (5, 8, 1, 1), "g": (8, 2, 1, 1)}
BOUNDS = {"zero": [0], "two": [2], "four": [4], "six": [6], "end": [99], "ch": [1], "step": [2]}


def model(body: str, outputs: str = "float[A,B,C,D] y, float[E,F,G,H] z") -> ir.Model:
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    agraph (float[N,4,8,8] x, bool[1] flag) => ({outputs}) {{ {body} }}"""
    proto = onnx.parser.parse_model(text)
    used = {name for node in proto.graph.node for name in node.input}
    generator = np.random.default_rng(5)
    for name, shape in SHAPES.items():
        if name in used:
            array = generator.standard_normal(shape).astype(np.float32)
            proto.graph.initializer.append(numpy_helper.from_array(array, name))
    for name, values in BOUNDS.items():
        if name in used:
            proto.graph.initializer.append(numpy_helper.from_array(np.array(values), name))
    return ir.from_proto(proto)


POOL = "y = AveragePool<kernel_shape=[3,3]>(r)"
CUT = "z = Slice(r, zero, four, ch)"


@pytest.mark.parametrize(
    ("body", "convs"),
    [
        (f"a = Conv(x, w, b) r = Relu(a) {POOL} {CUT}", 2),
        (f"r = Conv(x, w) {POOL} z = Slice(r, two, six, ch)", 3),
        ("r = Conv(x, w, b) y = Slice(r, zero, six, ch) z = Slice(r, two, end, ch)", 3),
        (f"a = Conv(x, w, b) c = Clip(a) r = Tanh(c) {POOL} {CUT}", 2),
    ],
)
def test_no_slice_is_left(rewrite, body, convs):
    found = rewrite(model(body), SplitChannels())
    assert "Slice" not in found.ops
    assert found.ops.count("Conv") == convs
    assert not found.reasons


BLOCKED = {
    "no Conv": (f"r = Relu(x) {POOL} z = Slice(r, zero, two, ch)", "not made by a Conv"),
    "grouped": (f"r = Conv<group=2>(x, g) {POOL} {CUT}", "grouped Conv"),
    "dynamic": (f"k = Mul(w, w) r = Conv(x, k) {POOL} {CUT}", "Conv weights are not constant"),
    "strided": (f"r = Conv(x, w) {POOL} z = Slice(r, zero, end, ch, step)", "Slice is strided"),
    "other user": (f"r = Conv(x, w) y = Conv(r, v) {CUT}", "also used by Conv"),
    "Indices": (
        f"r = Conv(x, w) p, i = MaxPool<kernel_shape=[2,2]>(r) y = Cast<to=1>(i) {CUT}",
        "also used by MaxPool",
    ),
    "subgraph": (
        f"r = Conv(x, w) {CUT} y = If(flag) <then_branch = t () => (float[A,B,C,D] i)"
        " { i = Relu(r) }, else_branch = e () => (float[A,B,C,D] j) { j = Neg(x) }>",
        "used in a subgraph",
    ),
}


@pytest.mark.parametrize("form", BLOCKED)
def test_what_stays(rewrite, form):
    body, reason = BLOCKED[form]
    assert rewrite(model(body), SplitChannels()).reasons == [reason]


def test_a_graph_output_stays(rewrite):
    found = rewrite(
        model(f"r = Conv(x, w) {CUT}", "float[A,B,C,D] r, float[E,F,G,H] z"), SplitChannels()
    )
    assert found.reasons == ["sliced tensor is a graph output"]


def test_slices_of_other_axes_too_are_no_candidates(rewrite):
    body = f"r = Conv(x, w) {POOL} z = Slice(r, begins, ends, axes)"
    source = model(body)
    for name, values in (("begins", [0, 1]), ("ends", [4, 5]), ("axes", [1, 2])):
        tensor = ir.tensor(np.array(values), name=name)
        value = next(v for n in source.graph for v in n.inputs if v is not None and v.name == name)
        value.const_value = tensor
        source.graph.register_initializer(value)
    found = rewrite(source, SplitChannels())
    assert not found.context.rewrites
    assert not found.reasons


def test_slices_that_an_earlier_split_moved(rewrite):
    body = f"r = Conv(x, w) p = MaxPool<kernel_shape=[2,2]>(r) y = Slice(p, zero, two, ch) {CUT}"
    found = rewrite(model(body), SplitChannels())
    assert found.ops.count("Conv") == 2
