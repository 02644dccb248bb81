"""Which channels hang together, operator by operator; that they can go is proven by running."""

from __future__ import annotations

import time

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cnn import networks
from zeroed_channels import assert_removed

from lprc.passes._pruning.channel_groups import ChannelGroups, channel_groups
from lprc.passes._pruning.union import components

HEAD = '<ir_version: 9, opset_import: ["" : 20]>\n'


def graph(body: str, *, outputs: str = "float[] y", image: str = "N,2,4,4") -> ir.Model:
    """A graph from image x; `{n,m,…}` in its initialisers' types are filled with seeded normals."""
    text = f"{HEAD} g (float[{image}] x) => ({outputs}) {body}"
    model = onnx.parser.parse_model(text)
    known = {each.name for each in model.graph.initializer}
    generator = np.random.default_rng(0)
    for info in list(model.graph.value_info):
        dims = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        if info.name.startswith("w") and info.name not in known:
            array = generator.standard_normal(dims).astype(np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, info.name))
            model.graph.value_info.remove(info)
    return ir.from_proto(onnx.shape_inference.infer_shapes(model, data_prop=True))


def widths(groups: ChannelGroups) -> list[tuple[int, int]]:
    return [(len(each.units), each.width) for each in groups.classes]


def some(groups: ChannelGroups, seed: int) -> np.ndarray:
    """Keep about half of the groups of each class, and one at least."""
    generator = np.random.default_rng(seed)
    kept = np.ones(groups.count, bool)
    for each in groups.classes:
        count = int(generator.integers(0, len(each.units)))
        kept[generator.choice(each.units, count, replace=False)] = False
    return kept


CONV = "c = Conv <pads = [1,1,1,1]> (x, w0)"
LAST = "y = Conv (t, wl)"

LEGAL: dict[str, tuple[str, list[tuple[int, int]]]] = {
    "a chain": (
        f"<float[6,2,3,3] w0, float[1,6,1,1] wl> {{ {CONV} t = Relu(c) {LAST} }}", [(6, 1)],
    ),
    "Conv with a bias, BatchNormalization": (
        f"""<float[6,2,3,3] w0, float[6] wb, float[6] ws, float[6] wh, float[6] wm,
        float[6] v = {{1,2,3,4,5,6}}, float[1,6,1,1] wl> {{
        c = Conv(x, w0, wb) t = BatchNormalization(c, ws, wh, wm, v) {LAST} }}""", [(6, 1)],
    ),
    "Add of two Convs": (
        f"<float[6,2,3,3] w0, float[6,2,1,1] w1, float[1,6,1,1] wl> {{ {CONV} d = Conv(x, w1) "
        f"t = Add(c, d) {LAST} }}", [(6, 1)],
    ),
    "constants, broadcast": (
        f"<float[6,2,3,3] w0, float[6,1,1] w1, float[1,6,1,1] wl, float[1,6,1,1] w2, float w3> {{ "
        f"{CONV} d = PRelu(c, w1) e = Mul(w2, d) t = Sub(e, w3) {LAST} }}", [(6, 1)],
    ),
    "a gate of size one in space": (
        f"<float[6,2,3,3] w0, float[6,6,1,1] w1, float[1,6,1,1] wl> {{ {CONV} "
        f"p = GlobalAveragePool(c) g = Conv(p, w1) t = Mul(c, g) {LAST} }}", [(6, 1)],
    ),
    "Concat, reordered by a later one": (
        f"<float[4,2,3,3] w0, float[3,2,1,1] w1, float[1,7,1,1] wl> {{ {CONV} d = Conv(x, w1) "
        f"t = Concat <axis = 1> (d, c) {LAST} }}", [(4, 1), (3, 1)],
    ),
    "Concat with the image": (
        f"<float[4,2,3,3] w0, float[1,6,1,1] wl> {{ {CONV} "
        f"t = Concat <axis = -3> (x, c) {LAST} }}", [(4, 1)],
    ),
    "Split into unequal parts": (
        f"<float[6,2,3,3] w0, int64[2] s = {{4, 2}}, float[1,4,1,1] wl, float[4,2,1,1] w1> {{ "
        f"{CONV} a, b = Split <axis = 1> (c, s) d = Conv(b, w1) t = Add(a, d) {LAST} }}",
        [(4, 1), (2, 1)],
    ),
    "Split into equal parts by number": (
        f"<float[6,2,3,3] w0, float[1,6,1,1] wl> {{ {CONV} "
        f"a, b = Split <axis = 1, num_outputs = 2> (c) t = Concat <axis = 1> (b, a) {LAST} }}",
        [(3, 1), (3, 1)],
    ),
    "a strided Slice": (
        f"<float[9,2,3,3] w0, float[1,3,1,1] wl, int64[2] s = {{1, 0}}, int64[2] e = {{9, 3}}, "
        f"int64[2] a = {{1, 2}}, int64[2] p = {{3, 1}}> {{ {CONV} t = Slice(c, s, e, a, p) "
        f"{LAST} }}", [(6, 1), (3, 1)],
    ),
    "a Slice of which only a Gather can take what is left": (
        f"<float[16,2,3,3] w0, float[1,8,1,1] wl, int64[2] s = {{0, 1}}, int64[2] e = {{16, 3}}, "
        f"int64[2] a = {{1, 2}}, int64[2] p = {{2, 1}}> {{ {CONV} t = Slice(c, s, e, a, p) "
        f"{LAST} }}", [(8, 1), (8, 1)],
    ),
    "a Slice backwards": (
        f"<float[5,2,3,3] w0, float[1,5,1,1] wl, int64[1] s = {{-1}}, int64[1] e = {{-9}}, "
        f"int64[1] a = {{1}}, int64[1] p = {{-1}}> {{ {CONV} t = Slice(c, s, e, a, p) {LAST} }}",
        [(5, 1)],
    ),
    "Gather": (
        f"<float[5,2,3,3] w0, float[1,3,1,1] wl, int64[3] i = {{4, 0, -2}}> {{ {CONV} "
        f"t = Gather <axis = 1> (c, i) {LAST} }}", [(2, 1), (3, 1)],
    ),
    "Pad of channels": (
        f"<float[4,2,3,3] w0, float[7,2,1,1] w1, float[1,7,1,1] wl, float k = {{2.0}}, "
        f"int64[8] p = {{0,1,0,0,0,2,0,0}}> {{ {CONV} d = Pad(c, p, k) e = Conv(x, w1) "
        f"t = Add(d, e) {LAST} }}", [(4, 1), (3, 1)],
    ),
    "Pad of space": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl, int64[8] p = {{0,0,1,0,0,0,0,1}}> {{ {CONV} "
        f"t = Pad <mode = \"reflect\"> (c, p) {LAST} }}", [(4, 1)],
    ),
    "depthwise with a multiplier": (
        f"<float[4,2,3,3] w0, float[8,1,3,3] w1, float[1,8,1,1] wl> {{ {CONV} "
        f"t = Conv <group = 4> (c, w1) {LAST} }}", [(4, 1)],
    ),
    "more groups than channels in one": (
        f"<float[6,2,3,3] w0, float[9,2,3,3] w1, float[1,9,1,1] wl> {{ {CONV} "
        f"t = Conv <group = 3> (c, w1) {LAST} }}", [(3, 2)],
    ),
    "fewer groups than channels in one": (
        f"<float[6,2,3,3] w0, float[8,3,1,1] w1, float[1,8,1,1] wl> {{ {CONV} "
        f"t = Conv <group = 2> (c, w1) {LAST} }}", [(3, 2), (4, 2)],
    ),
    "ConvTranspose": (
        f"<float[4,2,3,3] w0, float[4,5,2,2] w1, float[5] wb, float[1,5,1,1] wl> {{ {CONV} "
        f"t = ConvTranspose <strides = [2,2]> (c, w1, wb) {LAST} }}", [(4, 1), (5, 1)],
    ),
    "grouped ConvTranspose": (
        f"<float[6,2,3,3] w0, float[6,4,2,2] w1, float[1,8,1,1] wl> {{ {CONV} "
        f"t = ConvTranspose <group = 2> (c, w1) {LAST} }}", [(3, 2), (4, 2)],
    ),
    "depthwise ConvTranspose": (
        f"<float[6,2,3,3] w0, float[6,1,2,2] w1, float[1,6,1,1] wl> {{ {CONV} "
        f"t = ConvTranspose <group = 6> (c, w1) {LAST} }}", [(6, 1)],
    ),
    "Resize by scales": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl, float[4] k = {{1,1,2,2}}> {{ {CONV} "
        f"t = Resize <mode = \"nearest\"> (c, , k) {LAST} }}", [(4, 1)],
    ),
    "Resize by sizes": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl, int64[4] k = {{2,4,8,8}}> {{ {CONV} "
        f"t = Resize <mode = \"nearest\"> (c, , , k) {LAST} }}", [(4, 1)],
    ),
    "DepthToSpace": (
        f"<float[12,2,3,3] w0, float[1,3,1,1] wl> {{ {CONV} "
        f"t = DepthToSpace <blocksize = 2> (c) {LAST} }}", [(3, 4)],
    ),
    "DepthToSpace, the other mode": (
        f"<float[12,2,3,3] w0, float[1,3,1,1] wl> {{ {CONV} "
        f"t = DepthToSpace <blocksize = 2, mode = \"CRD\"> (c) {LAST} }}", [(3, 4)],
    ),
    "SpaceToDepth": (
        f"<float[3,2,3,3] w0, float[1,12,1,1] wl> {{ {CONV} "
        f"t = SpaceToDepth <blocksize = 2> (c) {LAST} }}", [(3, 1)],
    ),
    "Flatten and Gemm": (
        f"<float[3,2,3,3] w0, float[5,48] w1, float[5] wb, float[5,1] wl> {{ {CONV} "
        "f = Flatten(c) t = Gemm <transB = 1> (f, w1, wb) y = MatMul(t, wl) }", [(3, 1), (5, 1)],
    ),
    "Reshape to rows": (
        f"<float[3,2,3,3] w0, int64[2] k = {{0, 48}}, float[48,1] wl> {{ {CONV} "
        "t = Reshape(c, k) y = MatMul(t, wl) }", [(3, 1)],
    ),
    "a shuffle": (
        f"<float[6,2,3,3] w0, int64[5] k = {{0, 2, 3, 4, 4}}, int64[4] j = {{0, 6, 4, 4}}, "
        f"float[1,6,1,1] wl> {{ {CONV} r = Reshape(c, k) s = Transpose <perm = [0,2,1,3,4]> (r) "
        f"t = Reshape(s, j) {LAST} }}", [(3, 2)],
    ),
    "channels last, MatMul": (
        f"<float[4,2,3,3] w0, float[4,5] w1, float[5] wb, float[5,1] wl> {{ {CONV} "
        "s = Transpose <perm = [0,2,3,1]> (c) m = MatMul(s, w1) t = Add(m, wb) y = MatMul(t, wl) }",
        [(4, 1), (5, 1)],
    ),
    "a matrix from the left": (
        f"<float[4,2,3,3] w0, int64[3] k = {{0, 4, 16}}, float[3,4] w1, float[1,3] wl> {{ {CONV} "
        "r = Reshape(c, k) t = MatMul(w1, r) y = MatMul(wl, t) }", [(4, 1), (3, 1)],
    ),
    "attention": (
        f"<float[4,2,3,3] w0, float[4,2,1,1] w1, int64[3] k = {{0, 4, 16}}> {{ {CONV} "
        "d = Conv(x, w1) q = Reshape(c, k) r = Reshape(d, k) "
        "s = Transpose <perm = [0,2,1]> (q) y = MatMul(s, r) }", [(4, 1)],
    ),
    "means over space and over channels": (
        f"<float[4,2,3,3] w0, int64[2] k = {{2, 3}}, int64[1] j = {{1}}> {{ {CONV} "
        "m = ReduceMean <keepdims = 0> (c, k) s = Mul(m, m) y = ReduceMean(s, j) }", [(4, 1)],
    ),
    "a sum of squares": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl, int64[1] j = {{1}}> {{ {CONV} "
        f"q = ReduceSumSquare(c, j) t = Div(c, q) {LAST} }}", [(4, 1)],
    ),
    "Squeeze and Unsqueeze": (
        f"<float[4,2,3,3] w0, float[4,1] wl, int64[2] k = {{2, 3}}, int64[1] j = {{1}}> {{ {CONV} "
        "p = GlobalMaxPool(c) s = Squeeze(p, k) u = Unsqueeze(s, j) y = MatMul(u, wl) }", [(4, 1)],
    ),
    "Expand": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl, int64[4] k = {{1, 4, 3, 3}}> {{ {CONV} "
        f"p = GlobalMaxPool(c) t = Expand(p, k) {LAST} }}", [(4, 1)],
    ),
    "InstanceNormalization": (
        f"<float[4,2,3,3] w0, float[4] ws, float[4] wh, float[1,4,1,1] wl> {{ {CONV} "
        f"t = InstanceNormalization <epsilon = 0.5> (c, ws, wh) {LAST} }}", [(4, 1)],
    ),
    "a weight of two Convs": (
        f"<float[2,2,3,3] w0, float[2,2,1,1] w1, float[1,2,1,1] wl> {{ {CONV} "
        f"d = Conv(c, w1) t = Conv(d, w1) {LAST} }}", [(2, 1)],
    ),
    "a bias that is computed, of the layer behind": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl, float[1] w1> {{ {CONV} "
        "g = ReduceMax <keepdims = 0> (x) b = Mul(w1, g) y = Conv(c, wl, b) }", [(4, 1)],
    ),
    "a Shape of other axes": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl, int64[1] k = {{2}}> {{ {CONV} "
        "s = Shape(c) h = Gather(s, k) f = Cast <to = 1> (h) "
        f"t = Div(c, f) {LAST} }}", [(4, 1)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
def test_groups_and_that_they_can_go(name):
    body, expected = LEGAL[name]
    for seed in range(4):
        model = graph(body)
        groups = channel_groups(model.graph)
        assert sorted(widths(groups)) == sorted(expected)
        assert_removed(model, groups, some(groups, seed))


BLOCKED: dict[str, tuple[str, str]] = {
    "the graph's output": ("<float[4,2,3,3] w0> { y = Conv(x, w0) }", "blocked by a graph output"),
    "Softmax": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl> {{ {CONV} t = Softmax <axis = 1> (c) {LAST} }}",
        "blocked by Softmax",
    ),
    "ReduceMax over channels": (
        f"<float[4,2,3,3] w0, int64[1] k = {{1}}> {{ {CONV} y = ReduceMax(c, k) }}",
        "blocked by ReduceMax",
    ),
    "ArgMax": (
        f"<float[4,2,3,3] w0> {{ {CONV} a = ArgMax <axis = 1> (c) y = Cast <to = 1> (a) }}",
        "blocked by ArgMax",
    ),
    "CumSum": (
        f"<float[4,2,3,3] w0, int64 k = {{1}}, float[1,4,1,1] wl> {{ {CONV} t = CumSum(c, k) "
        f"{LAST} }}", "blocked by CumSum",
    ),
    "Shape": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl> {{ {CONV} s = Shape(c) k = Cast <to = 1> (s) "
        f"m = ReduceMax <keepdims = 0> (k) t = Mul(c, m) {LAST} }}", "blocked by Shape",
    ),
    "an Add with the image": (
        f"<float[2,2,3,3] w0, float[1,2,1,1] wl> {{ {CONV} t = Add(c, x) {LAST} }}",
        "blocked by Add",
    ),
    "a depthwise Conv of the image": (
        f"<float[2,1,3,3] w0, float[1,2,1,1] wl> {{ t = Conv <group = 2> (x, w0) {LAST} }}",
        "its groups read channels that can't go",
    ),
    "a mirror of channels": (
        f"<float[4,2,3,3] w0, float[1,5,1,1] wl, int64[8] p = {{0,1,0,0,0,0,0,0}}> {{ {CONV} "
        f"t = Pad <mode = \"reflect\"> (c, p) {LAST} }}", "blocked by Pad",
    ),
    "a weight that is computed": (
        f"<float[4,2,3,3] w0, float[1,4,1,1] wl> {{ {CONV} g = ReduceMax <keepdims = 1> (x) "
        "v = Mul(wl, g) y = Conv(c, v) }", "the weight is not constant",
    ),
    "a bias that is computed": (
        f"<float[4] w0, float[4,2,3,3] w1, float[1,4,1,1] wl> {{ "
        f"g = ReduceMax <keepdims = 0> (x) b = Mul(w0, g) t = Conv(x, w1, b) {LAST} }}",
        "the bias is not constant",
    ),
    "one channel": (
        f"<float[1,2,3,3] w0, float[3,1,1,1] w1, float[1,3,1,1] wl> {{ {CONV} d = Conv(c, w1) "
        f"t = Softmax <axis = 1> (d) {LAST} }}", "one group of channels",
    ),
    "MaxPool with indices": (
        f"<float[4,2,3,3] w0> {{ {CONV} p, i = MaxPool <kernel_shape = [2,2]> (c) "
        "j = Cast <to = 1> (i) y = ReduceSum(j) }", "blocked by MaxPool with indices",
    ),
    "a Transpose that mixes": (
        f"<float[4,2,3,3] w0, int64[2] k = {{0, 64}}, float[64,1] wl> {{ {CONV} "
        "s = Transpose <perm = [0,2,1,3]> (c) r = Reshape(s, k) y = Softmax(r) }",
        "blocked by Softmax",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKED)
def test_what_blocks_is_said(name):
    body, reason = BLOCKED[name]
    groups = channel_groups(graph(body).graph)
    assert reason in [text for _, text in groups.blocked]
    first = groups.trace.sources[0]
    assert not any(first in each.sources for each in groups.classes)


def test_excluded_operators_stay():
    model = graph(LEGAL["Concat, reordered by a later one"][0])
    named = next(node for node in model.graph if node.outputs[0].name == "d")
    named.name = "second"
    assert widths(channel_groups(model.graph, ("second",))) == [(4, 1)]


@given(networks(), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_random_networks(proto, seed):
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    groups = channel_groups(model.graph)
    assert_removed(model, groups, some(groups, seed))


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=60),
)
def test_components_are_those_of_the_graph(count, pairs):
    edges = [(a % count, b % count) for a, b in pairs]
    expected = list(range(count))
    for a, b in edges:
        old, new = max(expected[a], expected[b]), min(expected[a], expected[b])
        expected = [new if each == old else each for each in expected]
    left, right = (np.array([edge[i] for edge in edges], np.int64) for i in (0, 1))
    assert components(count, left, right).tolist() == expected


def test_ten_thousand_nodes_take_seconds():
    body = "".join(
        f"v{i + 1} = Conv(v{i}, wc) r{i + 1} = Relu(v{i + 1}) s{i + 1} = Add(r{i + 1}, r{i}) "
        for i in range(1, 3400)
    )
    text = f"<float[8,2,1,1] w0, float[8,8,1,1] wc> {{ v1 = Conv(x, w0) r1 = Relu(v1) {body} "
    model = graph(text + "y = Sigmoid(s3400) }")
    started = time.perf_counter()
    channel_groups(model.graph)
    assert time.perf_counter() - started < 10
