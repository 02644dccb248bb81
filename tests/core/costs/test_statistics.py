"""What a graph costs, against a brute-force count and by hand."""

from __future__ import annotations

import itertools
import time

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from lprc.core.costs.statistics import LayerRow, Statistics, layer_rows, model_statistics
from lprc.core.graph import sizes
from lprc.core.onnx_io import model_io
from lprc.core.passing.pass_base import PassContext
from lprc.core.running.numerics import run
from lprc.passes._pruning.removal_costs import multiply_accumulates
from lprc.passes._pruning.tracing import trace_channels
from lprc.passes.infer_shapes import InferShapes


def parsed(text: str, **weights: np.ndarray) -> ir.Model:
    proto = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 20]> {text}')
    for name, array in weights.items():
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return model_io.from_proto(proto)


def counted(text: str, **weights: np.ndarray) -> Statistics:
    return model_statistics(parsed(text, **weights))


def row(text: str, **weights: np.ndarray) -> LayerRow:
    (found,) = layer_rows(parsed(text, **weights))
    return found


def ones(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.ones(shape, dtype)


# Multiply-accumulates


def convolve(x, w, *, groups, stride, pad):
    """A Conv of [N,C,L] in Python: what it multiplies, without the zeros of its padding left out."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad)))
    batch, _, length = padded.shape
    outputs, per_group, taps = w.shape
    steps = (length - taps) // stride + 1
    made, macs = np.zeros((batch, outputs, steps)), 0
    for n, m, step, c, tap in itertools.product(
        range(batch), range(outputs), range(steps), range(per_group), range(taps)
    ):
        channel = m // (outputs // groups) * per_group + c
        made[n, m, step] += padded[n, channel, step * stride + tap] * w[m, c, tap]
        macs += 1
    return made, macs


@settings(max_examples=30)
@given(
    groups=st.integers(1, 3),
    inputs=st.integers(1, 3),
    outputs=st.integers(1, 3),
    taps=st.integers(1, 3),
    stride=st.integers(1, 2),
    pad=st.integers(0, 2),
    batch=st.integers(1, 2),
)
def test_conv_against_brute_force(groups, inputs, outputs, taps, stride, pad, batch):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((batch, groups * inputs, 5)).astype(np.float32)
    w = generator.standard_normal((groups * outputs, inputs, taps)).astype(np.float32)
    wanted, macs = convolve(x, w, groups=groups, stride=stride, pad=pad)
    text = f"""g (float[{batch},{groups * inputs},5] x) => (float[?,?,?] y) {{
        y = Conv<group={groups}, strides=[{stride}], pads=[{pad},{pad}]>(x, w) }}"""
    model = parsed(text, w=w)
    np.testing.assert_allclose(run(model, {"x": x})["y"], wanted, rtol=1e-4, atol=1e-5)
    assert model_statistics(model).macs == macs


@settings(max_examples=40)
@given(
    left=st.lists(st.integers(1, 4), min_size=0, max_size=2),
    right=st.lists(st.integers(1, 4), min_size=0, max_size=2),
    lengths=st.tuples(*[st.integers(1, 4)] * 3),
    vector=st.sampled_from(["none", "left", "right"]),
)
def test_matmul_against_brute_force(left, right, lengths, vector):
    rows, inner, columns = lengths
    a = ones(*([inner] if vector == "left" else [*left, rows, inner]))
    b = ones(*([inner] if vector == "right" else [*right, inner, columns]))
    try:
        product = np.matmul(a, b)
    except ValueError:
        assume(False)
    text = f"g (float{list(a.shape)} a, float{list(b.shape)} b) => (float[...] y) {{ y = MatMul(a, b) }}"
    text = text.replace("float[...]", f"float{list(product.shape)}" if product.ndim else "float")
    # Of ones, each element of a product is the number of multiplications that made it.
    assert counted(text).macs == product.sum()


@pytest.mark.parametrize("turn_a", [0, 1])
@pytest.mark.parametrize("turn_b", [0, 1])
def test_gemm(turn_a, turn_b):
    a, b = ("5,7" if turn_a else "7,5"), ((3, 5) if turn_b else (5, 3))
    text = f"""g (float[{a}] x) => (float[7,3] y) {{
        y = Gemm<transA={turn_a}, transB={turn_b}>(x, w, c) }}"""
    found = counted(text, w=ones(*b), c=ones(3))
    assert (found.macs, found.parameters) == (7 * 5 * 3, 18)


@pytest.mark.parametrize(
    ("text", "weights", "macs"),
    [
        (
            "g (float[2,4,5,5] x) => (float[?,?,?,?] y) { y = ConvTranspose<strides=[2,2], group=2>(x, w) }",
            {"w": ones(4, 3, 2, 2)},
            2 * 25 * 4 * 3 * 4,
        ),
        (
            "g (uint8[1,3,6,6] x) => (int32[?,?,?,?] y) { y = ConvInteger(x, w) }",
            {"w": ones(8, 3, 3, 3, dtype=np.uint8)},
            16 * 8 * 27,
        ),
        (
            "g (uint8[4,6] x) => (int32[4,2] y) { y = MatMulInteger(x, w) }",
            {"w": ones(6, 2, dtype=np.uint8)},
            48,
        ),
        (
            """g (uint8[4,6] x) => (uint8[4,2] y) <float s = {0.5}, uint8 z = {0}> {
                y = QLinearMatMul(x, s, z, w, s, z, s, z) }""",
            {"w": ones(6, 2, dtype=np.uint8)},
            48,
        ),
        (
            """g (uint8[1,3,6,6] x) => (uint8[?,?,?,?] y) <float s = {0.5}, uint8 z = {0}> {
                y = QLinearConv(x, s, z, w, s, z, s, z) }""",
            {"w": ones(8, 3, 3, 3, dtype=np.uint8)},
            16 * 8 * 27,
        ),
        (
            "g (float[9,2,5] x) => (float[?,?,?,?] y) { y = LSTM<hidden_size=3>(x, w, r) }",
            {"w": ones(1, 12, 5), "r": ones(1, 12, 3)},
            9 * 2 * 12 * (5 + 3),
        ),
        (
            """g (float[9,2,5] x) => (float[?,?,?,?] y) {
                y = GRU<hidden_size=3, direction="bidirectional">(x, w, r) }""",
            {"w": ones(2, 9, 5), "r": ones(2, 9, 3)},
            9 * 2 * 2 * 9 * (5 + 3),
        ),
        (
            """g (float[2,9,5] x) => (float[?,?,?,?] y) {
                y = RNN<hidden_size=3, layout=1>(x, w, r) }""",
            {"w": ones(1, 3, 5), "r": ones(1, 3, 3)},
            9 * 2 * 3 * (5 + 3),
        ),
    ],
)  # fmt: skip
def test_other_operators(text, weights, macs):
    found = counted(text, **weights)
    assert found.macs == macs
    assert not found.unknown_dims
    rows = layer_rows(parsed(text, **weights))
    assert sum(each.macs for each in rows) == macs
    assert sum(each.parameters for each in rows) == sum(each.size for each in weights.values())


@pytest.mark.parametrize(
    ("text", "shape", "dims"),
    [
        ("y = Conv<group=2>(x, w)", (4, 3, 3, 3), "2,4,7,7"),
        ("y = ConvTranspose<group=2>(x, w)", (6, 2, 3, 3), "2,4,11,11"),
        ("f = Flatten(x) y = Gemm(f, w)", (486, 4), "2,4"),
        ("y = MatMul(x, w)", (9, 4), "2,6,9,4"),
        ("y = MatMul(w, x)", (4, 9), "2,6,4,9"),
    ],
)
def test_pruning_counts_the_same(text, shape, dims):
    model = parsed(f"g (float[2,6,9,9] x) => (float[{dims}] y) {{ {text} }}", w=ones(*shape))
    InferShapes().run(model, PassContext())
    trace = trace_channels(model.graph)
    macs = multiply_accumulates(trace, np.ones(trace.count, bool))
    assert macs == model_statistics(model).macs > 0


def test_an_operator_that_is_not_counted_is_told():
    text = """g (float[2,3] x) => (float[2,2] y) { y = Einsum<equation="ij,kj->ik">(x, x) }"""
    assert counted(text).uncounted == ("Einsum",)


# Dimensions that are not known


def test_a_symbolic_batch_counts_one_sample_wherever_it_goes():
    text = """g (float[N,4,6] x) => (float[M,5] y) <int64[2] shape = {-1, 6}> {
        flat = Reshape(x, shape)
        y = MatMul(flat, w) }"""
    found = counted(text, w=ones(6, 5))
    assert (found.macs, found.unknown_dims) == (4 * 6 * 5, True)


def test_other_symbolic_dimensions_count_as_one():
    text = "g (float[2,T,6] x) => (float[2,T,5] y) { y = MatMul(x, w) }"
    found = counted(text, w=ones(6, 5))
    assert (found.macs, found.unknown_dims) == (2 * 6 * 5, True)


def test_shapes_are_inferred_and_the_model_is_not_changed():
    text = "g (float[1,3,8,8] x) => (float[?,?,?,?] y) { a = Conv(x, w) y = Conv(a, v) }"
    model = parsed(text, w=ones(4, 3, 3, 3), v=ones(2, 4, 3, 3))
    before = model_io.to_bytes(model)
    assert model_statistics(model).macs == 36 * 4 * 27 + 16 * 2 * 36
    assert [each.shape for each in layer_rows(model)] == [(1, 4, 6, 6), (1, 2, 4, 4)]
    assert model_io.to_bytes(model) == before


def test_failed_inference_is_told_and_the_shapes_in_the_file_count(monkeypatch):
    def refuse(model: ir.Model, *, one_sample: bool) -> None:
        raise onnx.shape_inference.InferenceError("[ShapeInferenceError] no\nand more")

    monkeypatch.setattr(sizes, "infer", refuse)
    found = counted("g (float[2,3] x) => (float[2,5] y) { y = MatMul(x, w) }", w=ones(3, 5))
    assert found.contradiction == "[ShapeInferenceError] no"
    assert found.macs == 2 * 5 * 3


# Parameters and bytes


def test_parameters_are_not_shapes():
    text = """g (float[6] x) => (float[2,3] y) <int64[2] shape = {2, 3}, bool unused = {1}> {
        flat = Reshape(x, shape)
        k = Constant<value = float[3] {0, 1, 2}>()
        y = Add(flat, k) }"""
    found = counted(text)
    assert (found.parameters, found.nonzero_parameters) == (3, 2)
    assert found.weight_bytes == 3 * 4 + 2 * 8 + 1


def test_a_weight_of_two_nodes_counts_once_in_all_and_in_each_layer():
    text = "g (float[1,4] x) => (float[1,4] y) { a = MatMul(x, w) y = MatMul(a, w) }"
    weights = {"w": ones(4, 4)}
    assert counted(text, **weights).parameters == 16
    assert [each.parameters for each in layer_rows(parsed(text, **weights))] == [16, 16]


@pytest.mark.parametrize("dtype", [TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT8E4M3FN])
def test_small_types(dtype):
    graph = helper.make_graph(
        [helper.make_node("Cast", ["w"], ["y"], to=TensorProto.FLOAT)],
        "g",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
        [helper.make_tensor("w", dtype, [4], [0, 1, 2, 0])],
    )
    opsets = [helper.make_opsetid("", 21)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    found = model_statistics(model_io.from_proto(proto))
    assert (found.parameters, found.nonzero_parameters) == (4, 2)
    assert found.weight_bytes == (4 if dtype == TensorProto.FLOAT8E4M3FN else 2)


# Activations


def test_activations_that_are_alive_at_once():
    # x [4], a and b [4] each: while b is made x is gone and a is read; while y is made a and b live.
    text = """g (float[4] x) => (float[8] y) {
        a = Relu(x)
        b = Neg(a)
        y = Concat<axis=0>(a, b) }"""
    assert counted(text).activation_bytes == 4 * (4 + 4 + 8)


def test_a_residual_lives_on():
    chain = """g (float[4] x) => (float[4] y) {
        a = Relu(x)
        b = Neg(a)
        y = Abs(b) }"""
    residual = chain.replace("Abs(b)", "Add(b, a)")
    assert counted(chain).activation_bytes == 4 * 8
    assert counted(residual).activation_bytes == 4 * 12


def test_weights_and_constants_are_no_activations():
    text = """g (float[4] x) => (float[4] y) {
        k = Constant<value = float[4] {1, 2, 3, 4}>()
        y = Add(x, k) }"""
    assert counted(text).activation_bytes == 4 * 8


# Subgraphs and functions


IF = """g (bool c, float[2,4] x) => (float[2,3] y) {
    y = If (c) <
        then_branch = t () => (float[2,3] p) { p = MatMul(x, w) },
        else_branch = e () => (float[2,3] q) { a = Relu(x) q = MatMul(a, v) }>
}"""


def test_branches_count():
    weights = {"w": ones(4, 3), "v": ones(4, 3)}
    found = counted(IF, **weights)
    assert (found.nodes, found.macs, found.parameters) == (4, 2 * 24, 24)
    # x, y, c and what the larger branch makes.
    assert found.activation_bytes == 1 + 4 * (8 + 6) + 4 * (8 + 6)
    assert [each.op_type for each in layer_rows(parsed(IF, **weights))] == ["MatMul"] * 2


def test_functions_count_at_their_calls():
    proto = onnx.parser.parse_model("""
        <ir_version: 9, opset_import: ["" : 20, "own" : 1]>
        g (float[2,4] x) => (float[2,4] y) { a = own.twice(x, w) y = own.twice(a, w) }
        <domain: "own", opset_import: ["" : 20]>
        twice (x, w) => (y) { a = MatMul(x, w) y = MatMul(a, w) }
    """)
    proto.graph.initializer.append(numpy_helper.from_array(ones(4, 4), "w"))
    model = model_io.from_proto(proto)
    found = model_statistics(model)
    assert (found.nodes, found.macs, found.uncounted) == (4, 4 * 32, ())
    assert len(layer_rows(model)) == 4
    assert len(model.functions) == 1


# Layers


def test_functions_that_can_not_be_inlined_are_no_error():
    text = """<ir_version: 9, opset_import: ["" : 17, "my" : 0]>
    g (float[2,3] x) => (float[2,3] y) { y = my.f(x) }
    <domain: "my", opset_import: ["" : 17, "my" : 1]> f (a) => (b) { b = Relu(a) }"""
    assert model_statistics(ir.from_onnx_text(text)).nodes == 1


def test_sparse_layers():
    sparse = np.tile(np.array([1, 0, 0, 1], np.float32), (8, 2))[:, :, None, None]
    text = "g (float[1,8,4,4] x) => (float[1,8,4,4] y) { [c] y = Conv(x, w, b) }"
    found = row(text, w=sparse, b=ones(8))
    assert (found.node, found.parameters, found.density) == ("c", 72, 0.5)
    assert (found.patterns, found.not_sparse) == (("2:4",), None)
    assert (found.shape, found.dtype) == ((1, 8, 4, 4), "FLOAT")


@pytest.mark.parametrize(
    ("text", "shape", "reason"),
    [
        ("y = Conv<group=8>(x, w)", (8, 1, 1, 1), "a depthwise Conv has one input channel a group"),
        ("y = Conv<group=4>(x, w)", (8, 2, 1, 1), "fewer input channels than a group of the pattern"),
        ("s = Slice(x, zero, six, one) y = Conv(s, w)", (8, 6, 1, 1),
         "its input channels are no multiple of 4"),
        ("y = ConvTranspose(x, w)", (8, 8, 1, 1), "no sparse kernels for ConvTranspose"),
        ("s = Relu(w) y = Conv(x, s)", (8, 8, 1, 1), "the weight is not constant"),
    ],
)  # fmt: skip
def test_layers_that_sparse_tensor_cores_do_not_take(text, shape, reason):
    full = f"""g (float[1,8,4,4] x) => (float[1,8,4,4] y)
        <int64[1] zero = {{0}}, int64[1] six = {{6}}, int64[1] one = {{1}}> {{ {text} }}"""
    assert row(full, w=ones(*shape)).not_sparse == reason


def test_a_weight_behind_dequantizelinear():
    text = """g (float[1,4] x) => (float[1,2] y) <float s = {0.5}> {
        f = DequantizeLinear(w, s)
        y = MatMul(x, f) }"""
    found = row(text, w=np.array([[1, 0], [0, 1], [0, 0], [3, 4]], np.int8))
    assert (found.parameters, found.density, found.patterns) == (8, 0.5, ("2:4",))


def test_ten_thousand_nodes_take_linear_time():
    def seconds(count: int) -> float:
        nodes = [
            helper.make_node("Conv", [f"v{i}", "w"], [f"v{i + 1}"], name=f"n{i}")
            for i in range(count)
        ]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1, 4, 8, 8])],
            [helper.make_tensor_value_info(f"v{count}", TensorProto.FLOAT, [1, 4, 8, 8])],
            [numpy_helper.from_array(ones(4, 4, 1, 1), "w")],
        )
        opsets = [helper.make_opsetid("", 20)]
        model = model_io.from_proto(helper.make_model(graph, opset_imports=opsets, ir_version=9))
        started = time.process_time()
        found = model_statistics(model)
        taken = time.process_time() - started
        assert found.macs == count * 4 * 4 * 64
        return taken

    assert seconds(10_000) < 20  # it takes 1 s; a walk over the graph a node would take minutes


def test_the_bundled_model(bundled):
    model = model_io.load(bundled)
    found = model_statistics(model)
    assert found.macs == sum(each.macs for each in layer_rows(model)) == 134_917_920
    assert found.parameters == found.nonzero_parameters == 316_980
    assert found.unknown_dims
