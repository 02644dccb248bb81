from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from random_dead_channels import dead_networks

from lprc.core.graph import editing
from lprc.core.onnx_io import model_io
from lprc.core.passing.pass_base import PassContext
from lprc.core.running.numerics import compare, run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes.eliminate_constant_channels import EliminateConstantChannels

# w, u and f have two rows of zeros; b is positive, negative is not.
DEAD = np.array([0, 1, 0, 1], bool)[:, None, None, None]


def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    normal = generator.standard_normal
    alive, positive = normal((4, 3, 1, 1)), np.abs(normal(4)) + 0.1
    only_second = np.arange(4)[:, None, None, None] == 1
    v = normal((2, 4, 1, 1))
    return {
        "w": np.where(DEAD, 0, alive), "u": np.where(DEAD, 0, normal((4, 4, 1, 1))),
        "one_dead": np.where(only_second, 0, alive), "all_dead": 0 * alive, "all_alive": alive,
        "b": positive, "negative": -positive, "some_bias": normal(4), "c": normal(2), "pair": normal(2),
        "v": v, "padded": normal((2, 4, 3, 3)), "half": normal((2, 2, 1, 1)), "wide": normal((2, 7, 1, 1)),
        "both": normal((2, 8, 1, 1)), "grouped": normal((4, 2, 1, 1)), "depth": normal((4, 1, 3, 3)),
        "scales": np.abs(normal((4, 1, 1))) + 0.1, "rows": normal((1, 4, 4, 6)),
        "tiny": np.where(only_second, alive * 1e-10, alive), "large_bias": 1e12 * positive,
        "huge": np.where(only_second.reshape(1, 4, 1, 1), v * 1e9, v), "large": v * 1e30,
    }  # fmt: skip


BOUNDS = (
    "int64[1] from0 = {0}, int64[1] from1 = {1}, int64[1] from2 = {2}, int64[1] to2 = {2},"
    " int64[1] end = {99}, int64[1] axis1 = {1}, int64[1] axis2 = {2}, int64[1] two = {2},"
    " int64[1] minus = {-1}, int64[1] last = {-1}, int64[1] start = {-99}, int64[3] all = {1,2,3},"
    " int64[2] space = {2,3}, float low = {0.0}, float high = {6.0}, float one = {1.0}"
)


def network(body: str, outputs: str = "y", *, opset: int = 20, dtype: str = "float") -> ir.Model:
    declared = ", ".join(f"{dtype}[A,B,C,D] {name.strip()}" for name in outputs.split(","))
    text = f"""<ir_version: 9, opset_import: ["" : {opset}]>
    g ({dtype}[N,3,6,6] x, {dtype}[N,4,6,6] x4, bool[1] flag) => ({declared}) <{BOUNDS}> {{ {body} }}"""
    model = onnx.parser.parse_model(text)
    used = {name for node in model.graph.node for name in node.input}
    used |= {
        name
        for node in model.graph.node
        for attribute in node.attribute
        for inner in attribute.g.node
        for name in inner.input
    }
    for name, array in arrays().items():
        if name in used:
            kind = np.float16 if dtype == "float16" else np.float32
            model.graph.initializer.append(numpy_helper.from_array(array.astype(kind), name))
    return model_io.from_proto(model)


def channels(found, name: str) -> int:
    (node,) = [node for node in found.model.graph if name in (node.outputs[0].name, node.name)]
    return editing.constant(node.inputs[1]).shape[0]


REMOVED = {
    "zero behind Relu": "a = Conv(x, w, negative) r = Relu(a) y = Conv<pads=[1,1,1,1]>(r, padded)",
    "zero without bias": "a = Conv(x, w) y = Conv<pads=[1,1,1,1]>(a, padded)",
    "into a bias": "a = Conv(x, w, b) r = Relu(a) y = Conv(r, v, c)",
    "into a new bias": "a = Conv(x, w, b) r = Relu(a) y = Conv(r, v)",
    "LeakyRelu": "a = Conv(x, w, negative) r = LeakyRelu<alpha=0.2>(a) y = Conv(r, v)",
    "Clip": "a = Conv(x, w, b) r = Clip(a, low, high) y = Conv(r, v)",
    "Clip without bounds": "a = Conv(x, w, b) r = Clip(a) y = Conv(r, v)",
    "SiLU": "a = Conv(x, w, b) i = Sigmoid(a) r = Mul(a, i) y = Conv(r, v)",
    "HardSwish": "a = Conv(x, w, b) r = HardSwish(a) y = Conv(r, v)",
    "Abs, Neg and Tanh": "a = Conv(x, w, b) i = Neg(a) j = Abs(i) r = Tanh(j) y = Conv(r, v)",
    "pools": "a = Conv(x, w, b) i = MaxPool<kernel_shape=[2,2],pads=[1,1,0,0]>(a)"
    " r = AveragePool<kernel_shape=[2,2]>(i) y = Conv(r, v)",
    "AveragePool that leaves its padding out": "a = Conv(x, w, b)"
    " r = AveragePool<kernel_shape=[3,3],pads=[1,1,1,1]>(a) y = Conv(r, v)",
    "AveragePool with ceil_mode": "a = Conv(x, w, b)"
    " r = AveragePool<kernel_shape=[2,2],strides=[4,4],ceil_mode=1>(a) y = Conv(r, v)",
    "global pools": "a = Conv(x, w, b) i = GlobalAveragePool(a) j = GlobalMaxPool(a)"
    " r = Add(i, j) y = Conv(r, v)",
    "mean over space": "a = Conv(x, w, b) r = ReduceMean(a, space) y = Conv(r, v)",
    "constants": "a = Conv(x, w, b) i = Mul(a, scales) j = Add(scales, i) k = Sub(j, one) r = Div(k, scales)"
    " y = Conv(r, v)",
    "residual": "a = Conv(x, w, b) i = Relu(a) j = Conv(i, u, some_bias) r = Add(i, j) y = Conv(r, v)",
    "residual without biases": "a = Conv(x, w) i = Relu(a) j = Conv(i, u) r = Add(i, j)"
    " y = Conv(r, v)",
    "residual that gets a bias": "a = Conv(x, w, b) i = Relu(a) j = Conv(i, u) r = Add(i, j)"
    " y = Conv(r, v)",
    "Concat": "a = Conv(x, w, b) r = Relu(a) j = Concat<axis=1>(x, r) y = Conv(j, wide)",
    "Concat, negative axis": "a = Conv(x, w, b) r = Relu(a) j = Concat<axis=-3>(r, x)"
    " y = Conv(j, wide)",
    "Concat with itself": "a = Conv(x, w, b) r = Relu(a) j = Concat<axis=1>(r, r) y = Conv(j, both)",
    "Slice": "a = Conv(x, w, b) i = Slice(a, from0, to2, axis1) j = Conv(i, half)"
    " k = Slice(a, from2, end, axis1) l = Conv(k, half) y = Add(j, l)",
    "Slice backwards": "a = Conv(x, w, b) i = Slice(a, last, start, axis1, minus) y = Conv(i, v)",
    "Slice of space": "a = Conv(x, w, b) i = Slice(a, from1, end, axis2) y = Conv(i, v)",
    "depthwise": "a = Conv(x, w, b) i = Relu(a) j = Conv<group=4>(i, depth, some_bias) y = Conv(j, v)",
    "padded depthwise of zeros": "a = Conv(x, w, negative) i = Relu(a)"
    " j = Conv<group=4,pads=[1,1,1,1]>(i, depth, some_bias) y = Conv(j, v)",
    "gate": "a = Conv(x, w, negative) i = Relu(a) j = GlobalAveragePool(i) k = Conv(j, u)"
    " l = Sigmoid(k) r = Mul(i, l) y = Conv(r, v)",
}  # fmt: skip


@pytest.mark.parametrize("form", REMOVED)
def test_constant_channels_go(rewrite, form):
    body = REMOVED[form]
    found = rewrite(network(body), EliminateConstantChannels())
    assert not found.reasons
    assert channels(found, "a") == 2


def test_weights_that_others_share_stay_for_them(rewrite):
    body = "a = Conv(x, w, b) r = Relu(a) y = Conv(r, v) i = Conv(x, w, b) z = Relu(i)"
    found = rewrite(network(body, "y, z"), EliminateConstantChannels())
    assert found.reasons == ["blocked by a graph output"]
    assert channels(found, "a") == 2
    assert channels(found, "i") == 4


def test_two_dead_convs_behind_each_other(rewrite):
    body = "a = Conv(x, w, b) r = Relu(a) i = Conv(r, u, b) j = Relu(i) y = Conv(j, v)"
    found = rewrite(network(body), EliminateConstantChannels())
    assert [channels(found, name) for name in ("a", "i")] == [2, 2]


def test_depthwise_convs_that_share_a_weight_both_become_narrower(rewrite):
    body = (
        "a = Conv(x, w, negative) r = Relu(a) i = Conv<group=4>(r, depth) j = Conv<group=4>(r, depth)"
        " k = Add(i, j) y = Conv(k, v)"
    )
    found = rewrite(network(body), EliminateConstantChannels())
    groups = [
        editing.attribute(node, "group") for node in found.model.graph if "group" in node.attributes
    ]
    assert groups == [2, 2]


MERGED = {
    "padded Conv": "a = Conv(x, w, b) r = Relu(a) y = Conv<pads=[1,1,1,1]>(r, padded, c)",
    "SAME_UPPER": 'a = Conv(x, w, b) r = Relu(a) y = Conv<auto_pad="SAME_UPPER">(r, padded)',
    "global context": "a = Conv(x, w, b) f = Relu(a) i = Mul(f, f) j = ReduceMean(i, all)"
    " r = Div(f, j) y = Conv(r, v)",
    "mean over channels": "a = Conv(x, w, b) f = Relu(a) i = ReduceMean(f, axis1)"
    " j = Conv(f, v) y = Mul(i, j)",
    "sum over channels": "a = Conv(x, w, b) f = Relu(a) y = ReduceSum(f, all)",
    "a Conv and a padded one": "a = Conv(x, w, b) f = Relu(a) i = Conv(f, v)"
    " j = Conv<pads=[1,1,1,1]>(f, padded) y = Add(i, j)",
    "a Slice without the one that stays": "a = Conv(x, w, b) f = Relu(a)"
    " i = Slice(f, from2, end, axis1) j = Conv(i, half) k = Conv<pads=[1,1,1,1]>(f, padded)"
    " y = Add(j, k)",
}  # fmt: skip


@pytest.mark.parametrize("form", MERGED)
def test_constant_channels_become_one(rewrite, form):
    found = rewrite(network(MERGED[form]), EliminateConstantChannels())
    assert not found.reasons
    assert channels(found, "a") == 3


def test_a_mean_that_is_a_graph_output_keeps_its_name_and_value(rewrite):
    body = "a = Conv(x, w, negative) f = Relu(a) z = Conv(f, v) y = ReduceMean(f, axis1)"
    found = rewrite(network(body, "y, z"), EliminateConstantChannels())
    assert found.ops == ["Conv", "Relu", "Conv", "ReduceMean", "Mul"]
    assert channels(found, "a") == 2


def test_a_mean_that_a_subgraph_reads_as_well(rewrite):
    body = (
        "a = Conv(x, w, negative) f = Relu(a) i = ReduceMean(f, axis1)"
        " y = If(flag) <then_branch = t1 () => (float[A,B,C,D] j) { j = Neg(i) },"
        " else_branch = t2 () => (float[A,B,C,D] k) { k = Abs(i) }>"
    )
    found = rewrite(network(body), EliminateConstantChannels())
    assert found.ops == ["Conv", "Relu", "ReduceMean", "Mul", "If"]


# In each of these, channel 1 is to stand for channel 3 too, and something must not notice.
REPRESENTATIVE_SEEN = {
    "a Slice of nothing else": "a = Conv(x, w, b) f = Relu(a) i = Slice(f, from0, to2, axis1)"
    " j = Conv(i, half) k = Conv<pads=[1,1,1,1]>(f, padded) y = Add(j, k)",
    "an Add with what is not constant": "a = Conv(x, w, b) f = Relu(a) i = Conv(x, one_dead, b)"
    " j = Add(i, f) k = Conv(j, v) l = Conv<pads=[1,1,1,1]>(f, padded) y = Add(k, l)",
    "a mean over a Slice without the others": "a = Conv(x, w, b) f = Relu(a)"
    " i = Slice(f, from1, start, axis1, minus) j = ReduceMean(i, all)"
    " k = Conv<pads=[1,1,1,1]>(f, padded) y = Mul(j, k)",
    "a Relu of a difference": "a = Conv(x, w, b) f = Relu(a) i = Sub(f, high) j = Relu(i)"
    " k = AveragePool<kernel_shape=[3,3],pads=[1,1,1,1],count_include_pad=1>(j)"
    " l = Conv(k, v) o = Conv<pads=[1,1,1,1]>(f, padded) y = Add(l, o)",
}  # fmt: skip


@pytest.mark.parametrize("form", REPRESENTATIVE_SEEN)
def test_what_reads_a_merged_channel_still_gets_its_value(rewrite, form):
    rewrite(network(REPRESENTATIVE_SEEN[form]), EliminateConstantChannels())


def test_a_negative_number_a_sample_in_front_of_relu(rewrite):
    # -0.9 * 2 is nothing behind Relu, and so is -0.9 * -2 not.
    body = (
        "a = Conv(x, w, b) i = ReduceMean(x, all) j = Tanh(i) k = Mul(a, j) r = Relu(k)"
        " y = Conv(r, v)"
    )
    found = rewrite(network(body), EliminateConstantChannels(), batch=8)
    assert found.reasons == ["a coupled channel is not constant"]


def test_levels_on_another_axis_are_no_levels(rewrite):
    # i is [4,4,6], and its channels are the rows of j, which is [1,4,4,6].
    body = "a = Conv(x, w) i = ReduceMean<keepdims=0>(a, last) j = Mul(i, rows) y = Conv(j, v)"
    found = rewrite(network(body), EliminateConstantChannels(), batch=4)
    assert found.reasons == ["blocked by Mul"]


SKIPPED = {
    "every channel is constant": ("a = Conv(x, all_dead, b) y = Conv(a, v)", "y"),
    "blocked by a graph output": ("a = Conv(x, w, b) y = Relu(a)", "y"),
    "blocked by Softmax": ("a = Conv(x, w, b) i = Softmax<axis=1>(a) y = Conv(i, v)", "y"),
    "blocked by Flatten": ("a = Conv(x, w, b) i = Flatten(a) y = Unsqueeze(i, space)", "y"),
    "blocked by grouped Conv": ("a = Conv(x, w, b) y = Conv<group=2>(a, grouped)", "y"),
    "blocked by ReduceMax": ("a = Conv(x, w, b) y = ReduceMax(a, all)", "y"),
    "blocked by Slice": (
        "a = Conv(x, w, b) i = Slice(a, from1, to2, axis1) j = Conv(a, v) y = Mul(i, j)", "y"
    ),
    "blocked by Concat": ("a = Conv(x, w, b) y = Concat<axis=2>(a, a)", "y"),
    "blocked by a graph input": ("a = Conv(x4, u, b) i = Add(a, x4) y = Conv(i, v)", "y"),
    "blocked by a subgraph": (
        "a = Conv(x, w, b) y = If(flag) <then_branch = t1 () => (float[A,B,C,D] j) { j = Neg(a) },"
        " else_branch = t2 () => (float[A,B,C,D] k) { k = Abs(a) }>", "y"
    ),
    "a coupled channel is not constant": (
        "a = Conv(x, w, b) i = Sigmoid(x) j = Conv(i, all_alive) k = Add(a, j) y = Conv(k, v)", "y"
    ),
    "a statistic over channels reads the constant": (
        "a = Conv(x, one_dead, b) f = Relu(a) i = ReduceMean(f, all) j = Conv(f, v) y = Mul(i, j)",
        "y",
    ),
    "a Conv that reads the constant pads": (
        "a = Conv(x, one_dead, b) f = Relu(a) y = Conv<pads=[1,1,1,1]>(f, padded)", "y"
    ),
    "a constant is scaled by an activation": (
        "a = Conv(x, one_dead, b) i = ReduceMean(x, all) k = Div(a, i) y = Conv(k, v)", "y"
    ),
    "a bias is not constant": (
        "a = Conv(x, one_dead, b) i = Mul(pair, pair) y = Conv(a, v, i)", "y"
    ),
    "a weight would overflow": ("a = Conv(x, one_dead, large_bias) y = Conv(a, large)", "y"),
}  # fmt: skip


@pytest.mark.parametrize("reason", SKIPPED)
def test_what_is_left_alone(rewrite, reason):
    body, outputs = SKIPPED[reason]
    found = rewrite(network(body, outputs), EliminateConstantChannels())
    assert found.reasons == [reason]


def test_conflicting_orders(rewrite):
    # The Add of a Slice backwards wants the channels both ways.
    body = (
        "a = Conv(x, one_dead) i = Slice(a, last, start, axis1, minus) j = Add(a, i) y = Conv(j, v)"
    )
    found = rewrite(network(body), EliminateConstantChannels())
    assert [reason.split(" at ")[0] for reason in found.reasons] == ["conflicting orders"]


def test_channel_counts_that_are_unknown_block(rewrite):
    # Without shape inference only the inputs have shapes.
    model = model_io.to_proto(network("a = Conv(x, w, b) r = Relu(a) y = Conv(r, v)"))
    del model.graph.value_info[:]
    after = model_io.from_proto(model)
    context = PassContext()
    EliminateConstantChannels().run(after, context)
    assert not context.rewrites
    assert [skip.reason for skip in context.skips] == ["channel count is unknown"]


def test_one_channel_is_no_candidate(rewrite):
    found = rewrite(
        network("a = Slice(x, from1, to2, axis1) y = Add(a, a)"), EliminateConstantChannels()
    )
    assert not found.reasons
    assert not found.context.rewrites


def test_channels_are_not_merged_where_their_level_would_overflow(rewrite):
    body = "a = Conv(x, w, b) r = Relu(a) y = Conv<pads=[1,1,1,1]>(r, padded)"
    model = network(body, dtype="float16")
    big = editing.add_initializer(model.graph, "large", np.full(4, 6e4, np.float16))
    model.graph[0].replace_input_with(2, big)
    found = rewrite(model, EliminateConstantChannels(), runs=False)
    assert found.reasons == ["a Conv that reads the constant pads"]


def test_float16(rewrite):
    model = network("a = Conv(x, w, b) r = Relu(a) y = Conv(r, v)", dtype="float16")
    found = rewrite(model, EliminateConstantChannels())
    assert channels(found, "a") == 2


def test_a_graph_inside_a_graph(rewrite):
    body = (
        "y = If(flag) <then_branch = t1 () => (float[A,B,C,D] j)"
        " { a = Conv(x, w, b) r = Relu(a) j = Conv(r, v) },"
        " else_branch = t2 () => (float[A,B,C,D] o) { i = Conv(x, w, b) o = Conv(i, v) }>"
    )
    found = rewrite(network(body), EliminateConstantChannels())
    assert [rewrite.note for rewrite in found.context.rewrites] == ["2 of 4 channels"] * 2


def test_bisection_stops_in_front_of_a_rewrite():
    model = network("a = Conv(x, w, b) r = Relu(a) i = Conv(r, u, b) j = Relu(i) y = Conv(j, v)")
    model = model_io.from_proto(onnx.shape_inference.infer_shapes(model_io.to_proto(model)))
    context = PassContext(rewrite_limit=1)
    EliminateConstantChannels().run(model, context)
    assert len(context.rewrites) == 1
    assert [editing.constant(node.inputs[1]).shape for node in model.graph if node.op_type == "Conv"] == [
        (2, 3, 1, 1), (4, 2, 1, 1), (2, 4, 1, 1),
    ]  # fmt: skip


def eliminated(model: onnx.ModelProto, multiple: int) -> tuple[ir.Model, PassContext]:
    after, context = model_io.from_proto(model), PassContext()
    editing.share_names(after)
    EliminateConstantChannels(multiple=multiple).run(after, context)
    return after, context


@settings(max_examples=200, deadline=None)
@given(dead_networks(), st.sampled_from([1, 1, 2, 3, 4]))
def test_random_networks_keep_their_outputs(model, multiple):
    after, context = eliminated(model, multiple)
    if not context.rewrites:
        assert model_io.to_bytes(after) == model_io.to_bytes(model_io.from_proto(model))
    assert model_io.to_bytes(after) == model_io.to_bytes(eliminated(model, multiple)[0])
    onnx.checker.check_model(model_io.to_proto(after), full_check=True)
    before = model_io.from_proto(model)
    inputs = random_inputs(before)
    for delta in compare(run(before, inputs), run(after, inputs)):
        assert delta.within(1e-4), delta
