from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from lprc.core.graph import editing
from lprc.core.onnx_io import model_io
from lprc.core.passing.pass_base import PassContext
from lprc.core.running.numerics import compare, run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes._channels.axes import channel_slice
from lprc.passes.hoist_slices import HoistSlices
from lprc.passes.reorder_channels import ReorderChannels, contiguous_order
from lprc.passes.split_channels import SplitChannels

BOUNDS = """int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] four = {4},
     int64[1] three = {3}, int64[1] end = {99}, int64[1] minus = {-1}, int64[1] first = {-99},
     int64[1] last = {-1}, int64[2] space = {2, 3}, int64[2] pair = {0, 1}, float s = {0.5}"""

WEIGHTS = {"w": (8, 3, 1, 1), "b": (8,), "v": (5, 8, 1, 1), "h": (5, 4, 1, 1), "d": (8, 1, 3, 3)}
WEIGHTS |= {"bn": (8,), "var": (8,), "c": (8, 1, 1), "slope": (8, 1, 1), "k": (5, 11, 1, 1)}
WEIGHTS |= {"g": (8, 4, 1, 1), "q": (5, 2, 1, 1), "w3": (3, 3, 1, 1)}

SLICE = "t = Slice(r, zero, end, one, two) z = Conv(t, h)"


def network(body: str, outputs: str = "y, z", opset: int = 17) -> onnx.ModelProto:
    declared = ", ".join(
        f"float[{n}] {o}" for o, n in ((o.strip(), "A,B,C,D") for o in outputs.split(","))
    )
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]>
    agraph (float[N,3,6,6] x, bool[1] flag) => ({declared}) <{BOUNDS}> {{ {body} }}"""
    model = onnx.parser.parse_model(text)
    used = {name for node in model.graph.node for name in node.input}
    generator = np.random.default_rng(3)
    for name, shape in WEIGHTS.items():
        if name in used:
            array = generator.standard_normal(shape).astype(np.float32)
            array = np.abs(array) + 0.1 if name == "var" else array
            model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


def check(rewrite, body, outputs="y, z", opset=17):
    return rewrite(model_io.from_proto(network(body, outputs, opset)), ReorderChannels())


def slices_are_contiguous(found) -> bool:
    taken = [channel_slice(node) for node in found.model.graph if node.op_type == "Slice"]
    return all((np.diff(item.indices) == 1).all() for item in taken if item is not None)


CARRIED = {
    "relu": "r = Relu(a) y = Conv(r, v)",
    "clip": "r = Clip(a, s) y = Conv(r, v)",
    "leaky": "r = LeakyRelu(a) y = Conv(r, v)",
    "prelu": "r = PRelu(a, slope) y = Conv(r, v)",
    "bn": "r = BatchNormalization(a, bn, bn, bn, var) y = Conv(r, v)",
    "pools": "r = Relu(a) m = MaxPool<kernel_shape=[2,2]>(r) p = AveragePool<kernel_shape=[2,2]>(m)"
    " y = Conv(p, v)",
    "global pool": "r = Relu(a) p = GlobalAveragePool(r) y = Conv(p, v)",
    "constants": "e = Mul(a, c) f = Add(c, e) r = Sub(f, s) y = Conv(r, v)",
    "two tensors": "o = Conv(x, w) r = Add(a, o) y = Conv(r, v)",
    "gate": "r = Relu(a) p = GlobalAveragePool(r) i = Sigmoid(p) j = Mul(r, i) y = Conv(j, v)",
    "depthwise": "r = Conv<group=8>(a, d) y = Conv(r, v)",
    "depthwise behind": "r = Relu(a) e = Conv<group=8>(r, d) y = Conv(e, v)",
    "concat": "r = Relu(a) j = Concat<axis=1>(x, r) y = Conv(j, k)",
    "concat, negative axis": "r = Relu(a) j = Concat<axis=-3>(r, x) y = Conv(j, k)",
    "concat and elementwise": "r = Relu(a) j = Concat<axis=1>(x, r) e = Tanh(j) y = Conv(e, k)",
    "mean": "r = Relu(a) p = ReduceMean<axes=[2]>(r) y = Conv(p, v)",
    "mean of all": "r = Relu(a) p = Mul(r, r) m = ReduceMean<keepdims=1>(p) f = Div(r, m)"
    " y = Conv(f, v)",
    "spatial slice": "r = Relu(a) p = Slice(r, one, end, two) y = Conv(p, v)",
    "shape": "r = Relu(a) n = Shape(r) e = Expand(s, n) y = Add(e, e)",
}


@pytest.mark.parametrize("form", CARRIED)
def test_the_slice_becomes_contiguous(rewrite, form):
    found = check(rewrite, f"a = Conv(x, w, b) {CARRIED[form]} {SLICE}")
    assert not found.reasons
    assert slices_are_contiguous(found)
    assert "Slice" in found.ops


ELEMENTWISE = {
    **{op: f"r = {op}(a)" for op in ("Acos", "Atan", "Gelu", "Shrink", "Swish", "Tan")},
    "Clip": "r = Clip(a)",
    "Mean": "r = Mean(c, a)",
    "Sum": "r = Sum(a, c, s)",
    "Where": "o = Greater(a, c) r = Where(o, a, s)",
}


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_every_elementwise_operator_keeps_channels_apart(rewrite, op):
    found = check(rewrite, f"a = Conv(x, w, b) {ELEMENTWISE[op]} y = Conv(r, v) {SLICE}", opset=24)
    assert not found.reasons
    assert slices_are_contiguous(found)


BLOCKED = {
    "a graph output": ("r = Relu(a) y = Conv(r, v)", "y, z, r", "blocked by a graph output"),
    "Softmax": ("r = Softmax<axis=1>(a) y = Conv(r, v)", "y, z", "blocked by Softmax"),
    "Flatten": (
        "r = Relu(a) f = Transpose<perm=[0,2,3,1]>(r) y = Neg(f)",
        "y, z",
        "blocked by Transpose",
    ),
    "grouped": ("r = Relu(a) y = Conv<group=2>(r, g)", "y, z", "blocked by grouped Conv"),
    "grouped producer": (
        "e = Conv<group=2>(a, g) r = Relu(e) y = Conv(r, v)",
        "y, z",
        "blocked by grouped Conv",
    ),
    "subgraph": (
        "r = Relu(a) y = If(flag) <then_branch = t1 () => (float[A,B,C,D] i) { i = Relu(r) },"
        " else_branch = t2 () => (float[A,B,C,D] j) { j = Neg(a) }>",
        "y, z",
        "blocked by a subgraph",
    ),
    "Indices": (
        "r, i = MaxPool<kernel_shape=[1,1]>(a) f = Cast<to=1>(i) y = Conv(f, v)",
        "y, z",
        "blocked by MaxPool",
    ),
}


@pytest.mark.parametrize("form", BLOCKED)
def test_what_blocks(rewrite, form):
    body, outputs, reason = BLOCKED[form]
    found = check(rewrite, f"a = Conv(x, w, b) {body} {SLICE}", outputs)
    assert found.reasons == [reason]


def test_a_graph_input_blocks(rewrite):
    found = check(
        rewrite,
        "t = Slice(x, zero, end, one, two) y = Conv(t, w2)".replace("Conv(t, w2)", "Neg(t)"),
        "y",
    )
    assert found.reasons == ["blocked by a graph input"]


def test_weights_that_are_not_constant_block(rewrite):
    body = f"a = Mul(w, w) e = Conv(x, a) r = Relu(e) y = Conv(r, v) {SLICE}"
    assert check(rewrite, body).reasons == ["blocked by Conv without constant weights"]


def test_negative_step(rewrite):
    body = (
        "a = Conv(x, w, b) r = Relu(a) t = Slice(r, last, first, one, minus) y = Conv(t, v)"
        " z = Conv(r, v)"
    )
    assert slices_are_contiguous(check(rewrite, body))


def test_nested_slices_become_contiguous_together(rewrite):
    body = (
        "a = Conv(x, w, b) r = Relu(a) t = Slice(r, zero, end, one, two) y = Conv(t, h)"
        " u = Slice(r, zero, end, one, four) z = Conv(u, q)"
    )
    found = check(rewrite, body)
    assert found.ops.count("Slice") == 2
    assert slices_are_contiguous(found)


def test_disjoint_slices_become_contiguous_together(rewrite):
    body = (
        "a = Conv(x, w, b) r = Relu(a) t = Slice(r, zero, end, one, two) y = Conv(t, h)"
        " u = Slice(r, one, end, one, two) z = Conv(u, h)"
    )
    assert slices_are_contiguous(check(rewrite, body))


def test_slices_that_cross_stay(rewrite):
    body = (
        "a = Conv(x, w, b) r = Relu(a) t = Slice(r, zero, end, one, two) y = Conv(t, h)"
        " u = Slice(r, zero, end, one, three) z = Neg(u)"
    )
    assert "Slices of the tensor cross" in check(rewrite, body).reasons


def test_shared_weights_get_a_copy_where_only_one_is_permuted(rewrite):
    body = f"a = Conv(x, w, b) r = Relu(a) y = Conv(r, v) {SLICE} i = Conv(x, w, b)"
    found = check(rewrite, body + " o = Relu(i)", "y, z, o")
    assert slices_are_contiguous(found)
    assert "w" in found.model.graph.initializers


def test_slice_with_a_spatial_part(rewrite):
    body = (
        "a = Conv(x, w, b) r = Relu(a) t = Slice(r, pair, four2, oneTwo, twos) z = Conv(t, h)"
        " y = Conv(r, v)"
    )
    model = network(body)
    for name, values in (("four2", [99, 5]), ("oneTwo", [1, 2]), ("twos", [2, 1])):
        model.graph.initializer.append(
            numpy_helper.from_array(np.array(values, dtype=np.int64), name)
        )
    found = rewrite(model_io.from_proto(model), ReorderChannels())
    assert slices_are_contiguous(found)


def test_slices_whose_orders_must_agree_but_cannot(rewrite):
    # Making {0, 4} contiguous reorders {0, 2, 4, 6}; what is added to that keeps its own order.
    body = (
        "a = Conv(x, w, b) r = Relu(a) i = Slice(r, one, end, one, two)"
        " t = Slice(r, zero, end, one, two) j = Add(i, t) z = Conv(j, h)"
        " u = Slice(r, zero, end, one, four) y = Conv(u, q)"
    )
    assert check(rewrite, body).reasons == ["blocked by Slice"]


def test_contiguous_order_of_nested_and_disjoint_lists():
    order = contiguous_order(8, [np.arange(0, 8, 2), np.arange(0, 8, 4), np.array([3, 5])])
    assert order is not None
    assert sorted(order.tolist()) == list(range(8))
    place = np.argsort(order)
    for wanted in ([0, 2, 4, 6], [0, 4], [3, 5]):
        assert np.ptp(place[wanted]) == len(wanted) - 1


def test_contiguous_order_of_crossing_lists():
    assert contiguous_order(8, [np.array([0, 1]), np.array([1, 2])]) is None


@st.composite
def networks(draw) -> onnx.ModelProto:
    """A random CNN of a few blocks, with channel Slices, Concats, pools and Adds."""
    seed = draw(st.integers(0, 2**31))
    generator = np.random.default_rng(seed)
    nodes, weights = [], []
    values: list[tuple[str, int]] = [("x", 4)]

    def constant(array: np.ndarray) -> str:
        name = f"c{len(weights)}"
        weights.append(numpy_helper.from_array(array, name))
        return name

    def emit(op: str, inputs: list[str], channels: int, **attributes) -> None:
        name = f"v{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [name], name=f"n{len(nodes)}", **attributes))
        values.append((name, channels))

    def floats(*shape: int) -> str:
        return constant(generator.standard_normal(shape).astype(np.float32) / 2)

    def conv(source: tuple[str, int], out: int) -> None:
        emit("Conv", [source[0], floats(out, source[1], 1, 1), floats(out)], out)

    conv(values[0], draw(st.sampled_from([4, 6, 8])))
    for _ in range(draw(st.integers(2, 9))):
        kinds = [
            "conv",
            "relu",
            "pool",
            "scale",
            "slice",
            "slice",
            "slice",
            "concat",
            "depthwise",
            "add",
            "bn",
        ]
        kind = draw(st.sampled_from(kinds))
        # Mostly a chain: a value that many nodes use blocks more than it tests.
        source = values[draw(st.one_of(st.just(-1), st.just(-1), st.integers(1 - len(values), -1)))]
        name, count = source
        if kind == "conv":
            conv(source, draw(st.sampled_from([4, 6, 8])))
        elif kind == "relu":
            emit(draw(st.sampled_from(["Relu", "Sigmoid", "LeakyRelu"])), [name], count)
        elif kind == "pool":
            op = draw(st.sampled_from(["MaxPool", "AveragePool"]))
            emit(op, [name], count, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        elif kind == "scale":
            emit(draw(st.sampled_from(["Mul", "Add", "Sub"])), [name, floats(count, 1, 1)], count)
        elif kind == "slice" and count > 1:
            bounds = [draw(st.integers(0, 1)), 99, 1, draw(st.integers(1, 4))]
            taken = len(range(count)[bounds[0] :: bounds[3]])
            emit("Slice", [name, *(constant(np.array([b])) for b in bounds)], taken)
        elif kind == "concat":
            other = values[draw(st.integers(1, len(values) - 1))]
            emit("Concat", [name, other[0]], count + other[1], axis=1)
        elif kind == "depthwise":
            emit("Conv", [name, floats(count, 1, 1, 1)], count, group=count)
        elif kind == "add":
            same = [value for value in values[1:] if value[1] == count]
            emit("Add", [name, draw(st.sampled_from(same))[0]], count)
        elif kind == "bn":
            positive = constant(np.abs(generator.standard_normal(count)).astype(np.float32) + 0.5)
            parts = [floats(count) for _ in range(3)]
            emit("BatchNormalization", [name, *parts, positive], count)
    leaf, count = values[-1]
    bounds = [draw(st.integers(0, 1)), 99, 1, draw(st.integers(1, 3))]
    if count > 1:
        taken = len(range(count)[bounds[0] :: bounds[3]])
        emit("Slice", [leaf, *(constant(np.array([b])) for b in bounds)], taken)
        if draw(st.booleans()):
            emit("AveragePool", [leaf], count, kernel_shape=[2, 2])
    read = {name for node in nodes for name in node.input}
    leaves = [value for value in values[1:] if value[0] not in read]
    for leaf in leaves:
        conv(leaf, 3)
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3, None, None])
        for name, _ in values[-len(leaves) :]
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4, 5, 5])
    graph = helper.make_graph(nodes, "g", [x], outputs, weights)
    opset = [helper.make_opsetid("", 17)]
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=opset, ir_version=8)
    )


@settings(max_examples=200, deadline=None)
@given(networks(), st.sampled_from(["reorder", "hoist", "split", "all"]))
def test_random_networks_keep_their_outputs(model, which):
    chosen = {
        "reorder": [ReorderChannels()],
        "hoist": [HoistSlices()],
        "split": [SplitChannels()],
        "all": [ReorderChannels(), HoistSlices(), SplitChannels()],
    }[which]
    before, after = model_io.from_proto(model), model_io.from_proto(model)
    for item in chosen:
        editing.share_names(after)
        item.run(after, PassContext())
    onnx.checker.check_model(model_io.to_proto(after), full_check=True)
    inputs = random_inputs(before)
    for delta in compare(run(before, inputs), run(after, inputs)):
        assert delta.within(1e-4), delta
