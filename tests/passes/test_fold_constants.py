from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lprc.core.graph import editing, provenance
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import PassContext
from lprc.core.passing.pipeline import Pipeline
from lprc.core.process.warm_child import VENDOR, ChildError
from lprc.core.running.numerics import run
from lprc.passes.fold_constants import FoldConstants

HEADER = '<ir_version: 9, opset_import: ["" : 20]>'


def fold(text, limit=None, **options):
    """Without shape inference first."""
    model = ir.from_onnx_text(f"{HEADER}\n{text}")
    provenance.stamp(model)
    editing.share_names(model)
    context = PassContext(rewrite_limit=limit)
    FoldConstants(**options).run(model, context)
    onnx.checker.check_model(model_io.to_proto(model))
    return model, context


def constant(model, name):
    return model.graph.initializers[name].const_value.numpy()


def test_evaluates_a_chain_in_place_of_its_last_value(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y) <float[2] w = {{1, 4}}> {{
            a = Sqrt(w)
            b = Neg(a)
            y = Add(x, b)
        }}""",
        FoldConstants(),
    )
    assert done.ops == ["Add"]
    assert list(done.model.graph.initializers) == ["b"]
    np.testing.assert_array_equal(constant(done.model, "b"), [-1, -2])
    assert [rewrite.op_type for rewrite in done.context.rewrites] == ["Sqrt", "Neg"]


def test_constant_nodes_are_constants_too(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y) {{
            w = Constant<value_floats = [1.0, 4.0]>()
            a = Sqrt(w)
            y = Add(x, a)
        }}""",
        FoldConstants(),
    )
    assert done.ops == ["Add"]


def test_nothing_to_fold_changes_nothing(rewrite):
    done = rewrite(f"{HEADER} g (float[2] x) => (float[2] y) {{ y = Relu(x) }}", FoldConstants())
    assert not done.context.rewrites
    assert not done.context.skips


@pytest.mark.parametrize(
    "node",
    [
        "RandomNormal<shape = [2]>()",
        "RandomUniform<shape = [2]>()",
        "RandomNormalLike(w)",
        "RandomUniformLike(w)",
        "Bernoulli(w)",
    ],
)
def test_random_operators_stay(node):
    model, context = fold(
        f"g (float[2] x) => (float[2] y) <float[2] w = {{0.5, 0.5}}> {{ a = {node} y = Add(x, a) }}"
    )
    assert len(model.graph) == 2
    assert not context.rewrites


QDQ = """g (float[2] x) => (float[2] y)
    <float[2] w = {1, 4}, float scale = {0.5}, int8 zero = {0}> {
        q = QuantizeLinear(w, scale, zero)
        d = DequantizeLinear(q, scale, zero)
        y = Add(x, d)
    }"""


def test_quantise_and_dequantise_stay(rewrite):
    assert not rewrite(f"{HEADER}{QDQ}", FoldConstants()).context.rewrites


def test_quantise_and_dequantise_fold_when_asked(rewrite):
    done = rewrite(f"{HEADER}{QDQ}", FoldConstants(fold_qdq=True))
    assert done.ops == ["Add"]
    np.testing.assert_array_equal(constant(done.model, "d"), [1, 4])


def test_overridable_initialisers_are_not_constant():
    _, context = fold(
        "g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1, 4}> "
        "{ a = Sqrt(w) y = Add(x, a) }"
    )
    assert not context.rewrites


def test_a_graph_output_stays(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y, float[2] a) <float[2] w = {{1, 4}}> {{
            a = Sqrt(w)
            y = Add(x, a)
        }}""",
        FoldConstants(),
    )
    assert done.reasons == ["is a graph output"]


BOMB = """g (float[1] x) => (float[N] y) <int64[2] size = {1000, 1000}, float[1] one = {1}> {
    e = Expand(one, size)
    f = Flatten(e)
    y = Add(x, f)
}"""


def test_what_would_grow_the_model_stays():
    model, context = fold(BOMB, max_bytes=3_000_000)
    assert [node.op_type for node in model.graph] == ["Expand", "Flatten", "Add"]
    assert [skip.reason for skip in context.skips] == ["the result is too large"]


def test_what_grows_the_model_within_the_limit_folds():
    model, _ = fold(BOMB, max_bytes=4_000_000)
    assert [node.op_type for node in model.graph] == ["Add"]


def test_the_limit_is_for_all_nodes_together():
    lines = "\n".join(f"e{i} = Expand(one, size) x{i + 1} = Add(x{i}, e{i})" for i in range(5))
    _, context = fold(
        f"""g (float[10,10] x0) => (float[10,10] x5)
        <int64[2] size = {{10, 10}}, float[1] one = {{1}}> {{ {lines} }}""",
        max_bytes=1200,
    )
    assert len(context.rewrites) == 3
    assert [skip.reason for skip in context.skips] == ["the result is too large"] * 2


def test_a_broadcast_bomb_without_shapes_stays():
    column, row = (
        ir.Value(
            name=name,
            shape=ir.Shape(shape),
            type=ir.TensorType(ir.DataType.FLOAT),
            const_value=ir.tensor(np.ones(shape, np.float32), name=name),
        )
        for name, shape in (("column", (10_000, 1)), ("row", (1, 10_000)))
    )
    model, _ = fold("g (float x) => (float[N, M] y) { y = Neg(x) }")
    graph = model.graph
    first = graph[0]
    for value in (column, row):
        graph.register_initializer(value)
    bomb = ir.node("Add", [column, row], name="bomb")
    bomb.outputs[0].name = "bomb_out"
    graph.insert_before(first, bomb)
    total = ir.node("Add", [graph.inputs[0], bomb.outputs[0]], name="total")
    total.outputs[0].name = "total_out"
    graph.insert_before(first, total)
    first.replace_input_with(0, total.outputs[0])
    context = PassContext()
    FoldConstants().run(model, context)
    assert [(skip.node, skip.reason) for skip in context.skips] == [
        ("bomb", "the result is too large")
    ]


def test_a_size_that_depends_on_a_computed_shape_is_found():
    model, context = fold(
        """g (float[1] x) => (float[N] y)
        <int64[1] a = {3}, float[1] one = {1}> {
            b = Mul(a, a)
            e = Expand(one, b)
            y = Add(x, e)
        }"""
    )
    assert [node.op_type for node in model.graph] == ["Add"]
    assert constant(model, "e").shape == (9,)
    assert not context.skips


def test_a_result_of_unknown_size_stays(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (int64[1,3] x) => (int64[N,3] y)
        <float[1,1,4] boxes = {{0, 0, 1, 1}}, float[1,1,1] scores = {{1}}, int64[1] most = {{1}}> {{
            n = NonMaxSuppression(boxes, scores, most)
            y = Concat<axis = 0>(x, n)
        }}""",
        FoldConstants(),
    )
    assert done.reasons == ["the result's size is not known"]


def test_sequences_stay():
    model, context = fold(
        """g (float[2] x) => (float[N] y)
        <float[2] boxes = {1, 2}> {
            s = SequenceConstruct(boxes, boxes)
            c = ConcatFromSequence<axis = 0>(s)
            y = Add(x, c)
        }"""
    )
    assert len(model.graph) == 3
    assert not context.rewrites


def test_nonzero_folds_although_its_size_depends_on_values(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (int64[1,1] x) => (int64[N, M] y) <float[3] w = {{0, 5, 0}}> {{
            n = NonZero(w)
            y = Add(x, n)
        }}""",
        FoldConstants(),
    )
    assert constant(done.model, "n").tolist() == [[1]]


def test_types_that_numpy_lacks_fold_within_a_chain():
    model, context = fold(
        f"""g (float[2] x) => (float[2] y) <float[2] w = {{1, 4}}> {{
            a = Sqrt(w)
            f8 = Cast<to = {onnx.TensorProto.FLOAT8E4M3FN}>(a)
            z = Cast<to = 1>(f8)
            b = Neg(w)
            c = Sum(x, z, b)
            y = Identity(c)
        }}"""
    )
    # No float8 leaves ONNX Runtime.
    assert [node.op_type for node in model.graph] == ["Sum", "Identity"]
    assert not context.skips


def test_a_float8_result_stays():
    model, context = fold(
        f"""g (float[2] x) => (float8e4m3fn[2] y) <float[2] w = {{1, 4}}, bool[1] c = {{1}}> {{
            a = Sqrt(w)
            f8 = Cast<to = {onnx.TensorProto.FLOAT8E4M3FN}>(a)
            fx = Cast<to = {onnx.TensorProto.FLOAT8E4M3FN}>(x)
            y = Concat<axis = 0>(f8, fx)
        }}"""
    )
    assert [node.op_type for node in model.graph] == ["Cast", "Cast", "Concat"]
    assert [(skip.op_type, skip.reason) for skip in context.skips] == [
        ("Cast", "ONNX Runtime can't evaluate it")
    ]
    assert [made.op_type for made in context.rewrites] == ["Sqrt"]
    np.testing.assert_array_equal(constant(model, "a"), [1, 2])


def test_one_bad_node_among_many_is_found_by_halving():
    lines = "\n".join(f"a{i} = Mul(w, k) x{i + 1} = Add(x{i}, a{i})" for i in range(40))
    model, context = fold(
        f"""g (float[2] x0) => (float[2] y)
        <float[2] w = {{1, 4}}, float[2] k = {{1, 2}}, int64[1] three = {{3}}> {{
            {lines}
            bad = Reshape(w, three)
            y = Add(x40, bad)
        }}"""
    )
    assert [skip.reason for skip in context.skips] == ["ONNX Runtime can't evaluate it"]
    assert len(context.rewrites) == 40
    assert [node.op_type for node in model.graph].count("Mul") == 0


def test_a_node_that_ends_onnx_runtime_stays(monkeypatch):
    call = VENDOR.call

    def ending(function, data, *more, **limit):
        if b"Softplus" in data:
            raise ChildError("crashed (SIGSEGV)", expired=False)
        return call(function, data, *more, **limit)

    monkeypatch.setattr(VENDOR, "call", ending)
    model, context = fold(
        """g (float[2] x) => (float[2] y) <float[2] w = {1, 4}> {
            a = Sqrt(w)
            b = Softplus(w)
            c = Add(x, a)
            y = Add(c, b)
        }"""
    )
    assert [skip.reason for skip in context.skips] == ["ONNX Runtime can't evaluate it"]
    assert [node.op_type for node in model.graph] == ["Softplus", "Add", "Add"]


def test_int32_arithmetic_stays_int32(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (int32[2] x) => (int32[2] y) <int32[1] a = {{1}}, int32[1] b = {{2}}> {{
            c = Concat<axis = 0>(a, b)
            y = Add(x, c)
        }}""",
        FoldConstants(),
    )
    assert constant(done.model, "c").dtype == np.int32


def test_strings_fold(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (string[1] x) => (string[2] y) <string[1] a = {{"b"}}> {{
            c = Identity(a)
            y = Concat<axis = 0>(x, c)
        }}""",
        FoldConstants(),
    )
    assert done.ops == ["Concat"]


def test_enters_subgraphs_and_leaves_control_flow(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (bool c, float[2] x) => (float[2] y) <float[2] w = {{1, 4}}> {{
            y = If (c) <
                then_branch = t () => (float[2] a) {{ s = Sqrt(w) a = Add(x, s) }},
                else_branch = e () => (float[2] b) {{ b = Neg(x) }}
            >
        }}""",
        FoldConstants(),
    )
    assert [node.op_type for node in done.model.graph.all_nodes()] == ["If", "Add", "Neg"]


def test_a_control_flow_node_with_constant_inputs_stays(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[2] x) => (float[2] y) <bool c = {{1}}, float[2] w = {{1, 4}}> {{
            a = If (c) <
                then_branch = t () => (float[2] p) {{ p = Sqrt(w) }},
                else_branch = e () => (float[2] q) {{ q = Neg(w) }}
            >
            y = Add(x, a)
        }}""",
        FoldConstants(),
    )
    assert done.ops == ["If", "Add"]


def test_known_dimensions_of_a_dynamic_shape(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[N, 3, 4] x) => (int64[1] y) <int64[2] i = {{1, 2}}, int64 one = {{1}}> {{
            s = Shape(x)
            channels = Gather(s, one)
            both = Gather(s, i)
            p = ReduceProd<keepdims = 1>(both)
            y = Add(p, channels)
        }}""",
        FoldConstants(),
    )
    assert done.ops == ["Add"]
    assert constant(done.model, "channels") == 3
    assert constant(done.model, "p").tolist() == [12]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("Shape<start = 1>(x)", [3, 4]),
        ("Shape<start = -1>(x)", [4]),
        ("Shape<start = 1, end = -1>(x)", [3]),
        ("Shape<start = 1, end = 99>(x)", [3, 4]),
        ("Slice(s, one, nine)", [3, 4]),
        ("Slice(s, minus, nine, zero, one)", [4]),
        ("Gather(s, minus)", [4]),
    ],
)
def test_parts_of_a_shape(rewrite, expression, value):
    done = rewrite(
        f"""{HEADER}
        g (float[N, 3, 4] x, int64[1] z) => (int64[M] y)
        <int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] nine = {{9}}, int64[1] minus = {{-1}}>
        {{
            {"s = Shape(x)" if "s," in expression else ""}
            a = {expression}
            y = Concat<axis = 0>(a, z)
        }}""",
        FoldConstants(),
    )
    assert done.ops == ["Concat"]
    assert constant(done.model, "a").tolist() == value


def test_size_is_known_only_where_all_dimensions_are(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[N, 3] x, float[2, 3] z) => (int64 a, int64 b) {{
            p = Size(x)
            q = Size(z)
            a = Add(p, p)
            b = Add(p, q)
        }}""",
        FoldConstants(),
    )
    assert done.ops == ["Size", "Add", "Add"]
    assert constant(done.model, "q") == 6


VIEW = """
    s = Shape(x)
    n = Gather(s, zero)
    u = Unsqueeze(n, axes)
    t = Concat<axis = 0>(u, {rest})
    y = Reshape(x, t)
"""


@pytest.mark.parametrize(
    ("signature", "rest", "shape"),
    [
        # x.view(x.size(0), -1): the dimension is copied.
        ("(float[N, 3, 4] x) => (float[N, M] y)", "minus", [0, -1]),
        ("(float[N, 3, 4] x) => (float[N, M] y)", "twelve", [0, 12]),
        ("(float[N, K, 4] x) => (float[A, B] y)", "minus", [0, -1]),
    ],
)
def test_a_reshape_copies_a_dimension(rewrite, signature, rest, shape):
    done = rewrite(
        f"""{HEADER}
        g {signature} <int64 zero = {{0}}, int64[1] axes = {{0}}, int64[1] minus = {{-1}},
            int64[1] twelve = {{12}}> {{ {VIEW.format(rest=rest)} }}""",
        FoldConstants(),
    )
    assert done.ops == ["Reshape"]
    target = done.node("Reshape").inputs[1].name
    assert constant(done.model, target).tolist() == shape


def test_a_reshape_works_out_one_dimension(rewrite):
    done = rewrite(
        f"""{HEADER}
        g (float[N, 12] x) => (float[A, B, C] y) <int64[1] three = {{3}}, int64[1] four = {{4}}> {{
            n = Shape<end = 1>(x)
            t = Concat<axis = 0>(three, n, four)
            y = Reshape(x, t)
        }}""",
        FoldConstants(),
    )
    assert done.ops == ["Reshape"]
    assert constant(done.model, done.node("Reshape").inputs[1].name).tolist() == [3, -1, 4]


@pytest.mark.parametrize(
    "reshape",
    [
        # Two dimensions would have to be worked out.
        "t = Concat<axis = 0>(minus, n) y = Reshape(x, t)",
        # 0 means zero here, and copies nothing.
        "t = Concat<axis = 0>(n, minus) y = Reshape<allowzero = 1>(x, t)",
        # Where a dimension is 0, ONNX can't work another out.
        "t = Concat<axis = 0>(zero, n) y = Reshape(x, t)",
    ],
)
def test_reshapes_that_stay(reshape):
    model, context = fold(
        f"""g (float[N, 12] x) => (float[A, B] y) <int64[1] minus = {{-1}}, int64[1] zero = {{0}}>
        {{ n = Shape<end = 1>(x) {reshape} }}"""
    )
    assert [node.op_type for node in model.graph] == ["Shape", "Concat", "Reshape"]
    assert not context.rewrites


@pytest.mark.parametrize("limit", range(4))
def test_a_rewrite_limit_is_kept(limit):
    model, context = fold(
        """g (float[2] x) => (float[2] y) <float[2] w = {1, 4}> {
            a = Sqrt(w)
            b = Neg(a)
            c = Exp(b)
            y = Add(x, c)
        }""",
        limit=limit,
    )
    assert len(context.rewrites) == limit
    assert len(model.graph) == 4 - limit


def test_ir_version_3_is_raised_when_an_initialiser_appears():
    text = """<ir_version: 3, opset_import: ["" : 11]>
    g (float[2] x) => (float[2] y) { w = Constant<value = float[2] {1, 4}>() a = Sqrt(w) y = Add(x, a) }"""
    model = ir.from_onnx_text(text)
    PassManager(Pipeline.parse("fold-constants"), [ChangeDetection()]).run(model)
    assert model.ir_version == 4
    assert len(model.graph) == 1
    onnx.checker.check_model(model_io.to_proto(model))


UNARY = ("Abs", "Neg", "Relu", "Sign", "Floor", "Identity")
BINARY = ("Add", "Mul", "Sub", "Max")


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_random_graphs_keep_their_outputs(data):
    names, lines = ["x", "w", "v"], []
    for index in range(data.draw(st.integers(1, 12))):
        name = f"n{index}"
        if data.draw(st.booleans()):
            lines.append(f"{name} = {data.draw(st.sampled_from(UNARY))}({names[-1]})")
        else:
            pair = [data.draw(st.sampled_from(names)) for _ in range(2)]
            lines.append(f"{name} = {data.draw(st.sampled_from(BINARY))}({', '.join(pair)})")
        names.append(name)
    text = f"""{HEADER} g (float[2, 2] x) => (float[2, 2] y)
    <float[2] w = {{-1.5, 2}}, float[2, 2] v = {{1, -2, 3, 4}}> {{
        {" ".join(lines)} y = Sum(x, {names[-1]}) }}"""
    model = ir.from_onnx_text(text)
    inputs = {"x": np.array([[1, -2], [0.5, 3]], np.float32)}
    before = run(model, inputs)
    PassManager(Pipeline.parse("fold-constants"), [ChangeDetection()]).run(model)
    np.testing.assert_array_equal(run(model, inputs)["y"], before["y"])
    foldable = [
        node
        for node in model.graph
        if all(editing.constant(value) is not None for value in node.inputs)
    ]
    assert not any(value.uses() for node in foldable for value in node.outputs)


def test_ml_dtypes_weights_do_not_disturb():
    model, _ = fold("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    weight = ir.tensor(np.ones(2, ml_dtypes.bfloat16), name="w")
    value = ir.Value(
        name="w", shape=ir.Shape([2]), type=ir.TensorType(weight.dtype), const_value=weight
    )
    model.graph.register_initializer(value)
    cast = ir.node("Cast", [value], {"to": int(onnx.TensorProto.FLOAT)}, name="cast")
    cast.outputs[0].name = "cast_out"
    model.graph.insert_before(model.graph[0], cast)
    total = ir.node("Add", [model.graph.inputs[0], cast.outputs[0]], name="total")
    total.outputs[0].name = "total_out"
    model.graph.insert_after(cast, total)
    model.graph[2].replace_input_with(0, total.outputs[0])
    FoldConstants().run(model, PassContext())
    assert [node.op_type for node in model.graph] == ["Add", "Relu"]
