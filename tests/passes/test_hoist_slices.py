from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from lprc.passes.hoist_slices import HoistSlices

SHAPES = {"w": (8, 4, 3, 3), "b": (8,), "p": (4, 4, 1, 1), "d": (4, 1, 3, 3), "d1": (4,)}
SHAPES |= {"c": (4, 1, 1), "full": (1, 4, 6, 6), "row": (6,), "one": (1,), "g": (4, 2, 1, 1)}
SHAPES |= {"bn": (4,), "var": (4,), "slope": (4, 1, 1)}
BOUNDS = {"start": [1], "end": [99], "batch": [0], "ch": [1], "neg": [-3], "row_axis": [2]}
BOUNDS |= {"step": [2], "starts2": [0, 1], "ends2": [2, 5], "axes2": [1, 3], "both": [0, 1]}

CHANNEL = "y = Slice(v, start, end, ch, step)"
SPACE = "y = Slice(v, start, end, row_axis, step)"
BATCH = "y = Slice(v, start, end, batch)"


def model(body: str, outputs: str = "float[A,B,C,D] y") -> ir.Model:
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
    agraph (float[3,4,6,6] x, float[3,4,6,6] o, float[3,1,1,1] gate, bool[1] flag, int64[1] free)
    => ({outputs}) {{ {body} }}"""
    proto = onnx.parser.parse_model(text)
    used = {name for node in proto.graph.node for name in node.input}
    generator = np.random.default_rng(5)
    for name, shape in SHAPES.items():
        if name in used:
            array = generator.standard_normal(shape).astype(np.float32)
            array = np.abs(array) + 0.5 if name == "var" else array
            proto.graph.initializer.append(numpy_helper.from_array(array, name))
    for name, values in BOUNDS.items():
        if name in body:
            proto.graph.initializer.append(numpy_helper.from_array(np.array(values), name))
    return ir.from_proto(proto)


LEGAL = {
    "Relu": ("v = Relu(x)", CHANNEL + ";" + SPACE + ";" + BATCH),
    "Clip": ("v = Clip(x)", CHANNEL + ";" + SPACE),
    "Cast": ("h = Cast<to=11>(x) v = Cast<to=1>(h)", CHANNEL),
    "per-channel constant": ("v = Mul(x, c)", CHANNEL + ";" + SPACE),
    "constant first": ("v = Sub(full, x)", CHANNEL + ";" + SPACE),
    "constant row": ("v = Add(x, row)", CHANNEL + ";" + "y = Slice(v, starts2, ends2, axes2)"),
    "one element": ("v = Div(x, one)", CHANNEL),
    "broadcast tensor": ("v = Mul(x, gate)", CHANNEL + ";" + SPACE),
    "PRelu": ("v = PRelu(x, slope)", CHANNEL + ";" + SPACE),
    "BatchNormalization": ("v = BatchNormalization(x, bn, bn, bn, var)", CHANNEL + ";" + SPACE),
    "MaxPool": ("v = MaxPool<kernel_shape=[3,3]>(x)", CHANNEL + ";" + BATCH),
    "AveragePool": ("v = AveragePool<kernel_shape=[2,2], pads=[1,1,1,1]>(x)", CHANNEL),
    "GlobalAveragePool": ("v = GlobalAveragePool(x)", CHANNEL),
    "depthwise Conv": ("v = Conv<group=4>(x, d, d1)", CHANNEL + ";" + BATCH),
    "Conv, batch": ("v = Conv(x, w, b)", BATCH),
    "1×1 Conv, space": ("v = Conv(x, p)", SPACE),
    "chain": ("a = Relu(x) m = MaxPool<kernel_shape=[2,2]>(a) v = Mul(m, c)", CHANNEL),
}


@pytest.mark.parametrize(
    ("body", "cut"),
    [(body, cut) for body, cuts in LEGAL.values() for cut in cuts.split(";")],
)
def test_the_slice_comes_first(rewrite, body, cut):
    found = rewrite(model(f"{body} {cut}"), HoistSlices())
    assert found.ops[0] == "Slice"
    assert found.ops.count("Slice") == 1
    assert not found.reasons


@pytest.mark.parametrize("cut", [CHANNEL, CHANNEL.replace("ch,", "neg,")])
def test_filters_that_nothing_reads_are_dropped(rewrite, cut):
    found = rewrite(model(f"a = Conv(x, w, b) v = Relu(a) {cut}"), HoistSlices())
    assert found.ops == ["Conv", "Relu"]
    weight, bias = found.node("Conv").inputs[1:]
    assert weight is not None
    assert bias is not None
    assert list(weight.shape or ()) == [4, 4, 3, 3]
    assert list(bias.shape or ()) == [4]
    assert not {"w", "b"} & set(found.model.graph.initializers)


PUBLIC = "float[A,B,C,D] y, float[E,F,G,H] v"
BLOCKED = {
    "two users": (
        f"v = Relu(x) {CHANNEL} z = Neg(v)",
        "float[A,B,C,D] y, float[E,F,G,H] z",
        "sliced tensor has other users",
    ),
    "output": (f"v = Relu(x) {CHANNEL}", PUBLIC, "sliced tensor has other users"),
    "bounds": ("v = Relu(x) y = Slice(v, free, end, ch)", None, "bounds are not constant"),
    "pool in space": (
        f"v = MaxPool<kernel_shape=[3,3]>(x) {SPACE}",
        None,
        "Slice on a spatial axis of MaxPool",
    ),
    "Conv in space": (f"v = Conv(x, w) {SPACE}", None, "Slice on a spatial axis of Conv"),
    "grouped": (f"v = Conv<group=2>(x, g) {CHANNEL}", None, "grouped Conv"),
    "dynamic weights": (
        f"a = Mul(p, p) v = Conv(x, a) {CHANNEL}",
        None,
        "Conv weights are not constant",
    ),
    "dynamic operand": (f"v = Add(x, o) {CHANNEL}", None, "the other operand is not constant"),
    "batch and channels": (
        "v = Conv(x, p) y = Slice(v, starts2, ends2, both)",
        None,
        "Slice on both batch and channels of Conv",
    ),
    "Indices": (
        "m, i = MaxPool<kernel_shape=[2,2]>(x) y = Slice(m, start, end, ch)",
        "float[A,B,C,D] y, int64[E,F,G,H] i",
        "MaxPool has another output in use",
    ),
    "no filter": ("v = Conv(x, p) y = Slice(v, end, end, ch)", None, "Slice may be empty"),
    "subgraph": (
        "v = Relu(x) y = If(flag) <then_branch = t () => (float[A,B,C,D] i)"
        " { i = Slice(v, start, end, ch) }, else_branch = e () => (float[A,B,C,D] j)"
        " { j = Neg(o) }>",
        None,
        "sliced in a subgraph",
    ),
}


@pytest.mark.parametrize("form", BLOCKED)
def test_what_stays(rewrite, form):
    body, outputs, reason = BLOCKED[form]
    runs = form not in ("no filter",)
    args = (body,) if outputs is None else (body, outputs)
    assert rewrite(model(*args), HoistSlices(), runs=runs).reasons == [reason]


def test_training_and_dynamic_batch_normalization_stay(rewrite):
    body = f"s = Mul(bn, bn) v = BatchNormalization(x, s, bn, bn, var) {CHANNEL}"
    found = rewrite(model(body), HoistSlices())
    assert found.reasons == ["BatchNormalization weights are not constant"]
    body = f"v, m, n = BatchNormalization<training_mode=1>(x, bn, bn, bn, var) {CHANNEL}"
    found = rewrite(model(body), HoistSlices(), runs=False)
    assert found.reasons == ["BatchNormalization is training"]


def test_a_slice_of_a_graph_input_is_no_candidate(rewrite):
    found = rewrite(model(CHANNEL.replace("v", "x")), HoistSlices())
    assert not found.context.rewrites
    assert not found.reasons
