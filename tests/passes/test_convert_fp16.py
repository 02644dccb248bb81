from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from half_arithmetic import emulated
from hypothesis import HealthCheck, given, settings
from onnx import TensorProto, helper
from random_cnn import networks

from lprc.core.errors import UsageError
from lprc.core.graph import editing, provenance
from lprc.core.graph.annotations import Range, range_of, set_range
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pass_base import PassContext
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Session, compare, run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes.convert_fp16 import ConvertFloat16

HALF, SINGLE = ir.DataType.FLOAT16, ir.DataType.FLOAT
WEIGHTS = {
    "w": "float[2,2] w = {1, 2, 3, 4}",
    "two": "float[2] two = {2, 2}",
    "one": "float[1] one = {1}",
    "big": "float[2,2] big = {1, 2, 3, 65505}",
    "tiny": "float[2,2] tiny = {1e-6, 2e-7, 3e-8, 4e-8}",
    "eps": "float eps = {1e-9}",
    "gain": "float gain = {2000}",
    "ten": "float ten = {10}",
    "axis": "int64[1] axis = {1}",
    "zero": "int64 zero = {0}",
    "q_scale": "float q_scale = {0.02}",
    "small_scale": "float small_scale = {0.00002}",
    "q_zero": "int8 q_zero = {0}",
    "at": "int64[2,1] at = {1, 1}",
    "row": "float[2,2] row = {1, 2, 3, 4}",
    "w8": "int8[2,2] w8 = {1, 2, 3, 4}",
    "k": "float[1,2,1,1] k = {1, 2}",
    "gate": "float[1,8,2] gate = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}",
    "hidden": "float[1,8,2] hidden = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}",
    "boxes": "float[1,4] boxes = {0, 0, 1, 1}",
    "first": "int64[1] first = {0}",
}


def graph(
    body: str,
    *,
    opset: int = 20,
    inputs: str = "float[3,2] x",
    outputs: str = "float[A,B] y",
    ranges: dict[str, tuple[float, float]] | None = None,
) -> ir.Model:
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    weights = ", ".join(text for name, text in WEIGHTS.items() if name in words)
    version = 9 if opset < 21 else 10
    proto = onnx.parser.parse_model(
        f"""<ir_version: {version}, opset_import: ["" : {opset}, "other" : 1]>
        g ({inputs}) => ({outputs}) <{weights}> {{ {body} }}"""
    )
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    values = {value.name: value for node in model.graph for value in node.outputs}
    values |= {value.name: value for value in model.graph.inputs}
    for name, (low, high) in (ranges or {}).items():
        set_range(values[name], Range(low, high))
    return model


def types(model: ir.Model) -> dict[str, str]:
    """The type of what each node puts out first, by the node's operator."""
    return {node.op_type: str(node.outputs[0].dtype) for node in model.graph}


def casts(model: ir.Model) -> list[str]:
    return [node.outputs[0].dtype.name for node in model.graph if node.op_type == "Cast"]


REASONS = {
    "LayerNormalization": ("y = LayerNormalization(x, two)", "normalises by statistics"),
    "ReduceSumSquare": (
        "y = ReduceSumSquare(x, axis)",
        "accumulates without bound",
    ),
    "ScatterND": ('y = ScatterND<reduction="add">(x, at, row)', "accumulates without bound"),
    "CumSum": ("y = CumSum(x, zero)", "accumulates without bound"),
    "Sin": ("y = Sin(x)", "no rule for this operator"),
    "Exp": ("y = Exp(x)", "may overflow: no known range"),
    "square": ("y = Mul(x, x)", "may overflow: no known range"),
    "Pow": ("y = Pow(x, two)", "may overflow: no known range"),
    "Softmax": ("y = Softmax(x)", "may overflow: no known range"),
    "Softplus": ("y = Softplus(x)", "may overflow: no known range"),
    "large factor": ("y = Mul(x, gain)", "may overflow: no known range"),
    "small divisor": ("y = Div(x, eps)", "may overflow: no known range"),
    "computed divisor": (
        "a = Abs(x) b = Add(a, one) y = Div(x, b)",
        "may overflow: no known range",
    ),
    "large weight": ("y = MatMul(x, big)", "a weight exceeds float16"),
    "small weight": ("y = MatMul(x, tiny)", "a weight underflows float16"),
    "small scalar": ("y = Add(x, eps)", "a weight underflows float16"),
    "integers": (
        "s = Shape(x) f = Cast<to=1>(s) y = MatMul(x, f)",
        "integers of unknown range",
    ),
    "training": (
        "y, m, v = BatchNormalization<training_mode=1>(x, two, two, two, two)",
        "normalises by statistics",
    ),
}


@pytest.mark.parametrize("form", REASONS)
def test_what_stays_and_why(rewrite, form):
    body, reason = REASONS[form]
    outputs = "float[A] y" if form == "integers" else "float[A,B] y"
    found = rewrite(graph(body, outputs=outputs), ConvertFloat16(), runs=form != "training")
    assert reason in found.reasons
    assert types(found.model)[found.context.skips[-1].op_type] == "FLOAT"


def test_quantisation_has_no_float16_form_before_opset_19(rewrite):
    body = "q = QuantizeLinear(x, q_scale, q_zero) y = DequantizeLinear(q, q_scale, q_zero)"
    found = rewrite(graph(body, opset=18), ConvertFloat16())
    assert found.reasons == ["no float16 form in this opset"] * 2


def test_an_unbounded_sum_and_one_of_unknown_length_stay(rewrite):
    many = graph("y = ReduceMean<keepdims=1>(x, axis)", inputs="float[3,65] x")
    assert rewrite(many, ConvertFloat16()).reasons == ["sums too many elements"]
    assert not rewrite(many, ConvertFloat16(max_reduced=65)).reasons
    unknown = graph("y = ReduceMean<keepdims=1>(x, axis)", inputs="float[3,N] x")
    found = rewrite(unknown, ConvertFloat16())
    assert found.reasons == ["sums an unknown number of elements"]


@pytest.mark.parametrize(
    ("body", "elements"),
    [
        ("y = GlobalAveragePool(x)", 96),
        ("y = AveragePool<kernel_shape=[4,5]>(x)", 20),
        ("y = ReduceSum<keepdims=1>(x)", 192),
        ("y = ReduceL1<keepdims=1>(x, axis)", 2),
    ],
)
def test_sums_are_judged_by_their_length(rewrite, body, elements):
    model = graph(body, inputs="float[N,2,8,12] x", outputs="float[A,B,C,D] y")
    if "ReduceSum" in body:
        model.graph.inputs[0].shape = ir.Shape([1, 2, 8, 12])
    assert not rewrite(model, ConvertFloat16(max_reduced=elements)).reasons
    found = rewrite(model, ConvertFloat16(max_reduced=elements - 1))
    assert found.reasons == ["sums too many elements"]


def test_recurrent_operators_stay(rewrite):
    body = "y, h = LSTM<hidden_size=2>(x, gate, hidden)"
    model = graph(body, inputs="float[5,1,2] x", outputs="float[A,B,C,D] y")
    assert rewrite(model, ConvertFloat16()).reasons == ["recurrent"]


def test_coordinates_stay(rewrite):
    body = "y = RoiAlign<output_height=2, output_width=2>(x, boxes, first)"
    model = graph(body, inputs="float[1,2,4,4] x", outputs="float[A,B,C,D] y")
    assert rewrite(model, ConvertFloat16()).reasons == ["coordinates need float32"]


def test_operators_of_others_stay(rewrite):
    found = rewrite(graph("a = other.Thing(x) y = Relu(x)"), ConvertFloat16(), runs=False)
    assert found.reasons == ["operator of another domain"]
    assert types(found.model)["Relu"] == "FLOAT16"


def test_values_of_unknown_type_stay():
    model = graph("a = other.Thing(x) y = MatMul(a, w)")
    context = PassContext()
    ConvertFloat16().run(model, context)
    assert [skip.reason for skip in context.skips][-1] == "the type is not known"
    assert not context.rewrites


def test_what_must_not_be_float16_in_a_subgraph_is_left_alone(rewrite):
    body = """l = Relu(x) r = MatMul(l, w) c = If(b) <
        then_branch = t () => (float[3,2] p) { p = Add(r, x) },
        else_branch = e () => (float[3,2] q) { q = Exp(l) }
    > y = MatMul(c, w)"""
    found = rewrite(graph(body, inputs="float[3,2] x, bool b"), ConvertFloat16())
    assert found.reasons == ["fewer Casts in float32", "has a subgraph"]
    (branch,) = [node for node in found.model.graph if node.op_type == "If"]
    assert branch.outputs[0].dtype == SINGLE
    for inner in editing.subgraphs(found.model.graph):
        assert {value.dtype for node in inner for value in node.inputs} == {SINGLE}
    assert casts(found.model) == ["FLOAT16", "FLOAT", "FLOAT16", "FLOAT"]
    assert set(found.model.graph.initializers) == {"w_f16"}


def test_an_old_opset_is_left_alone(rewrite):
    found = rewrite(graph("y = MatMul(x, w)", opset=12), ConvertFloat16())
    assert found.reasons == ["opset is older than 13"]
    assert not found.context.rewrites


@pytest.mark.parametrize("opset", range(13, 24))
def test_every_opset(rewrite, opset):
    mean = "ReduceMean<axes=[1]>(c)" if opset < 18 else "ReduceMean(c, axis)"
    body = f"""a = MatMul(x, w) b = Clip(a, one_, ten) c = Add(b, two) m = {mean}
        n = Mul(c, c) s = Sub(n, m) u = Unsqueeze(s, axis) v = Squeeze(u, axis)
        p, q = Split<axis=1>(v, halves) j = Concat<axis=1>(q, p) y = MatMul(j, w)"""
    model = graph(body, opset=opset)
    for name, array in {"one_": np.float32(1), "halves": np.array([1, 1])}.items():
        given = ir.tensor(array, name=name)
        value = next(value for node in model.graph for value in node.inputs if value.name == name)
        value.const_value = given
        model.graph.register_initializer(value)
    found = rewrite(model, ConvertFloat16())
    assert "may overflow: no known range" in found.reasons
    assert types(found.model)["MatMul"] == "FLOAT16"
    assert types(found.model)["Clip"] == "FLOAT16"


LARGE, FITS, SMALL = (-1e4, 4e4), (-1e4, 3e4), (-5e-5, 1e-5)
CHAIN = "a = MatMul(x, w) b = Relu(a) y = MatMul(b, w)"


@pytest.mark.parametrize(("bounds", "reason"), [(LARGE, "exceed"), (SMALL, "underflow")])
def test_a_range_keeps_both_sides_of_a_value_in_float32(rewrite, bounds, reason):
    found = rewrite(graph(CHAIN, ranges={"a": bounds}), ConvertFloat16())
    assert found.reasons == [f"values {reason} float16"] * 2
    assert [node.outputs[0].dtype for node in found.model.graph if node.op_type == "MatMul"] == [
        SINGLE,
        HALF,
    ]
    assert casts(found.model) == ["FLOAT16", "FLOAT"]


@pytest.mark.parametrize("bounds", [FITS, (0.0, 0.0), (-1e-3, 1e-3)])
def test_a_range_that_fits_keeps_nothing(rewrite, bounds):
    assert not rewrite(graph(CHAIN, ranges={"a": bounds}), ConvertFloat16()).reasons


def test_the_margin_is_how_far_a_value_may_leave_its_range(rewrite):
    model = graph(CHAIN, ranges={"a": FITS})
    assert len(rewrite(model, ConvertFloat16(margin=3.0)).reasons) == 2
    assert not rewrite(graph(CHAIN, ranges={"a": LARGE}), ConvertFloat16(margin=1.0)).reasons


def test_ranges_prevent_an_overflow_that_float16_would_have(rewrite):
    body = "a = MatMul(x, w) b = Mul(a, ten) c = MatMul(b, w) y = Div(c, ten)"
    x = np.full((3, 2), 2000, np.float32)
    blind = rewrite(graph(body), ConvertFloat16()).model
    assert np.isinf(run(_emulated(blind), {"x": x})["y"]).all()
    model = graph(body, ranges={"b": (0, 1.2e5), "c": (0, 1e6), "a": (0, 1.2e4)})
    found = rewrite(model, ConvertFloat16())
    (delta,) = compare(run(found.before, {"x": x}), run(_emulated(found.model), {"x": x}))
    assert delta.within(ConvertFloat16.contract.tolerance)


KNOWN = {
    "Exp": ("y = Exp(x)", (1e-3, 50)),
    "square": ("y = Mul(x, x)", (0, 16)),
    "Pow": ("y = Pow(x, two)", (0, 16)),
    "Softmax": ("y = Softmax(x)", (0, 1)),
    "Softplus": ("y = Softplus(x)", (0, 5)),
    "large factor": ("y = Mul(x, gain)", (-2e4, 2e4)),
    "divisor": ("a = Relu(x) b = Add(a, one) y = Div(x, b)", (-4, 4)),
}


@pytest.mark.parametrize("form", KNOWN)
def test_known_ranges_free_what_might_overflow(rewrite, form):
    body, bounds = KNOWN[form]
    ranges = {"x": (-4, 4), "y": bounds, "b": (1, 5)}
    model = graph(body, ranges=ranges if " b = " in body else {"x": (-4, 4), "y": bounds})
    found = rewrite(model, ConvertFloat16())
    assert not found.reasons
    assert set(casts(found.model)) == {"FLOAT16", "FLOAT"}


@pytest.mark.parametrize(
    ("body", "operand"),
    [
        ("a = Relu(x) y = Div(x, a)", "a"),
        ("a = Add(x, ten) y = Log(a)", "a"),
        ("a = Add(x, ten) y = Reciprocal(a)", "a"),
    ],
)
def test_an_operand_near_zero_stays_though_its_range_is_known(rewrite, body, operand):
    ranges = {"x": (-4.0, 4.0), "y": (-20.0, 20.0)}
    near = graph(body, ranges={**ranges, operand: (1e-5, 20.0)})
    near_reasons = rewrite(near, ConvertFloat16(), runs=False).reasons
    assert near_reasons[-1] == "a small operand loses digits"
    away = graph(body, ranges={**ranges, operand: (0.1, 20.0)})
    assert not rewrite(away, ConvertFloat16(), runs=False).reasons


STATISTIC = """f = MatMul(x, w) s = Mul(f, f) m = ReduceMean<keepdims=1>(s)
    e = Add(m, eps) r = Sqrt(e) i = Div(f, r) y = MatMul(i, w)"""


def test_statistics_stay_though_their_ranges_are_known(rewrite):
    names = ["x", "f", "s", "m", "e", "r", "i", "y"]
    ranges = dict.fromkeys(names, (0.5, 30.0))
    found = rewrite(graph(STATISTIC, ranges=ranges), ConvertFloat16(max_reduced=4))
    assert {(skip.op_type, skip.reason) for skip in found.context.skips} == {
        ("Mul", "square for a statistic"),
        ("ReduceMean", "sums too many elements"),
        ("Add", "a weight underflows float16"),
        ("Sqrt", "computes a statistic"),
        ("Div", "applies a statistic"),
    }
    assert casts(found.model).count("FLOAT16") == 2
    assert casts(found.model).count("FLOAT") == 2


def test_a_statistic_that_is_reshaped_and_inverted_is_still_one(rewrite):
    body = """m = ReduceMean<keepdims=0>(x, axis) u = Unsqueeze(m, axis) r = Reciprocal(u)
        a = Mul(x, r) y = MatMul(a, w)"""
    found = rewrite(graph(body), ConvertFloat16(max_reduced=1), runs=False)
    assert [(skip.op_type, skip.reason) for skip in found.context.skips] == [
        ("ReduceMean", "sums too many elements"),
        ("Reciprocal", "computes a statistic"),
        ("Mul", "applies a statistic"),
    ]


def test_a_mean_that_a_matmul_reads_is_no_statistic(rewrite):
    body = "m = ReduceMean<keepdims=0>(x, axis) u = Unsqueeze(m, axis) y = MatMul(u, one_by_two)"
    model = graph(body.replace("one_by_two", "x2"), inputs="float[3,65] x, float[1,2] x2")
    found = rewrite(model, ConvertFloat16())
    assert found.reasons == ["sums too many elements"]
    assert types(found.model)["MatMul"] == "FLOAT16"


def test_elementwise_operators_between_float32_ones_stay_with_them(rewrite):
    body = "a = MatMul(x, w) b = Exp(a) c = Sub(b, ten) d = Neg(c) e = Exp(d) y = MatMul(e, w)"
    found = rewrite(graph(body), ConvertFloat16())
    assert found.reasons.count("fewer Casts in float32") == 2
    assert casts(found.model) == ["FLOAT16", "FLOAT", "FLOAT16", "FLOAT"]


def test_a_bound_of_clip_need_not_fit(rewrite):
    model = graph("a = MatMul(x, w) y = Clip(a, zero_, max)")
    for name, number in {"zero_": 0.0, "max": 3.4e38}.items():
        value = next(v for node in model.graph for v in node.inputs if v.name == name)
        value.const_value = ir.tensor(np.float32(number), name=name)
        model.graph.register_initializer(value)
    found = rewrite(model, ConvertFloat16())
    assert not found.reasons
    assert np.isinf(found.model.graph.initializers["max_f16"].const_value.numpy())


def test_an_infinite_mask_stays_infinite(rewrite):
    model = graph("a = MatMul(x, w) m = IsNaN(a) y = Where(m, a, mask)")
    value = next(v for node in model.graph for v in node.inputs if v.name == "mask")
    value.const_value = ir.tensor(np.float32(-np.inf), name="mask")
    model.graph.register_initializer(value)
    assert not rewrite(model, ConvertFloat16()).reasons


def test_a_weight_that_a_caller_may_override_is_cast(rewrite):
    model = graph("y = MatMul(x, w)")
    model.graph.inputs.append(model.graph.initializers["w"])
    found = rewrite(model, ConvertFloat16())
    assert casts(found.model) == ["FLOAT16", "FLOAT16", "FLOAT"]
    assert set(found.model.graph.initializers) == {"w"}


def test_constant_nodes_become_float16_initialisers(rewrite):
    body = "c = Constant<value = float[2,2] {1, 2, 3, 4}>() y = MatMul(x, c)"
    found = rewrite(graph(body), ConvertFloat16())
    assert found.ops == ["Cast", "MatMul", "Cast"]
    assert found.model.graph.initializers["c_f16"].dtype == HALF


def test_names_origins_and_ranges_are_kept(rewrite):
    found = rewrite(graph(CHAIN, ranges={"x": (-1, 1), "y": (-9, 9)}), ConvertFloat16())
    model = found.model.graph
    assert [value.name for value in (*model.inputs, *model.outputs)] == ["x", "y"]
    first, last = (node for node in model if node.op_type == "Cast")
    assert provenance.origins(first) == ("MatMul_0",)
    assert provenance.origins(last) == ("MatMul_2",)
    assert range_of(first.outputs[0]) == Range(-1, 1)
    assert range_of(last.outputs[0]) == Range(-9, 9)
    assert all(value.shape is not None for node in model for value in node.outputs)


def test_an_output_that_others_use_too(rewrite):
    body = "y = MatMul(x, w) z = Relu(y) e = Exp(y)"
    found = rewrite(
        graph(body, outputs="float[A,B] y, float[A,B] z, float[A,B] e"), ConvertFloat16()
    )
    assert found.ops == ["Cast", "MatMul", "Cast", "Relu", "Cast", "Exp"]
    exp = found.node("Exp")
    assert exp.inputs[0].name == "y"


def test_inputs_and_outputs_become_float16(rewrite):
    body = "a = MatMul(x, w) y = Relu(a) z = Exp(a)"
    model = graph(body, outputs="float[A,B] y, float[A,B] z")
    found = rewrite(model, ConvertFloat16(keep_io=False), runs=False)
    assert [value.dtype for value in found.model.graph.inputs] == [HALF]
    assert [value.dtype for value in found.model.graph.outputs] == [HALF, HALF]
    assert [value.name for value in found.model.graph.outputs] == ["y", "z"]
    assert found.ops == ["MatMul", "Cast", "Relu", "Exp", "Cast"]
    x = random_inputs(found.before)["x"]
    before = run(found.before, {"x": x})
    after = run(found.model, {"x": x.astype(np.float16)})
    after = {name: array.astype(np.float32) for name, array in after.items()}
    for delta in compare(before, after):
        assert delta.within(ConvertFloat16.contract.tolerance)


def test_an_input_in_float32_operators_only_becomes_float16_all_the_same(rewrite):
    found = rewrite(graph("y = Exp(x)"), ConvertFloat16(keep_io=False), runs=False)
    assert found.ops == ["Cast", "Exp", "Cast"]
    assert [value.dtype for value in found.model.graph.inputs] == [HALF]


def test_inputs_and_outputs_that_do_not_fit_stay(rewrite):
    model = graph("y = MatMul(x, w)", ranges={"x": (0, 1e5), "y": (0, 1e-6)})
    found = rewrite(model, ConvertFloat16(keep_io=False))
    assert found.reasons == [
        "graph input or output: values exceed float16",
        "graph input or output: values underflow float16",
        "values exceed float16",
    ]
    assert not found.context.rewrites


QDQ = "q = QuantizeLinear(x, {0}, q_zero) d = DequantizeLinear(q, {0}, q_zero) y = MatMul(d, w)"


@pytest.mark.parametrize("opset", [19, 21])  # 23 is not in every supported ONNX Runtime
def test_quantisation_moves_to_float16_where_the_scale_fits(rewrite, opset):
    found = rewrite(graph(QDQ.format("q_scale"), opset=opset), ConvertFloat16())
    assert not found.reasons
    assert types(found.model)["DequantizeLinear"] == "FLOAT16"
    assert found.model.graph.initializers["q_scale_f16"].dtype == HALF
    assert "q_scale" not in found.model.graph.initializers


def test_a_scale_that_float16_does_not_hold_stays(rewrite):
    found = rewrite(graph(QDQ.format("small_scale"), opset=21), ConvertFloat16())
    stays = "the scale does not fit float16"
    assert found.reasons == [stays, stays, "reads a dequantised float32"]
    assert not found.context.rewrites


def test_a_dequantised_weight_may_be_cast(rewrite):
    body = "v = DequantizeLinear(weight, small_scale, q_zero) y = MatMul(x, v)"
    model = graph(body.replace("weight", "w8"), opset=21)
    found = rewrite(model, ConvertFloat16())
    assert found.reasons == ["the scale does not fit float16"]
    assert found.ops == ["Cast", "DequantizeLinear", "Cast", "MatMul", "Cast"]


def test_a_computed_scale_stays(rewrite):
    body = "n, s, z = DynamicQuantizeLinear(x) d = DequantizeLinear(n, s, z) y = MatMul(d, w)"
    found = rewrite(graph(body, opset=21), ConvertFloat16())
    assert found.reasons == [
        "no float16 form in this opset",
        "the scale is not constant",
        "reads a dequantised float32",
    ]


def test_operators_and_nodes_on_request(rewrite):
    found = rewrite(graph(CHAIN), ConvertFloat16(keep_ops=("MatMul",)))
    assert found.reasons == ["kept by keep-ops", "fewer Casts in float32", "kept by keep-ops"]
    model = graph("[first] a = MatMul(x, w) [second] y = MatMul(a, w)")
    node = model.graph[1]
    provenance.set_origins(node, ["source"])
    for name in ("source", "second"):
        found = rewrite(model, ConvertFloat16(keep_nodes=(name,)))
        assert [(skip.node, skip.reason) for skip in found.context.skips] == [
            ("second", "kept by keep-nodes")
        ]


def test_a_node_that_is_not_there_is_an_error():
    model = graph("[first] y = MatMul(x, w)")
    with pytest.raises(UsageError, match=r"no node is called 'frist'.*did you mean 'first'"):
        ConvertFloat16(keep_nodes=("frist",)).run(model, PassContext())


@pytest.mark.parametrize(
    ("options", "match"), [("margin=0.5", "margin is below 1"), ("max-reduced=-1", "negative")]
)
def test_options_without_sense_are_refused(options, match):
    with pytest.raises(UsageError, match=match):
        Pipeline.parse(f"convert-fp16{{{options}}}")


def test_the_options_text_goes_round():
    text = "convert-fp16{keep-io=false,keep-ops=Add,Relu,margin=4.0}"
    assert str(Pipeline.parse(text)) == text


@pytest.mark.parametrize("limit", range(5))
def test_bisection_converts_region_by_region(limit):
    body = "a = MatMul(x, w) b = Exp(a) c = MatMul(b, w) d = Exp(c) y = MatMul(d, w)"
    model = graph(body)
    provenance.stamp(model)
    editing.share_names(model)
    before = model_io.to_bytes(model)
    context = PassContext(rewrite_limit=limit)
    ConvertFloat16().run(model, context)
    halves = [node for node in model.graph if node.op_type == "MatMul" and is_half(node)]
    assert len(context.rewrites) == len(halves) == min(limit, 3)
    assert (model_io.to_bytes(model) == before) == (limit == 0)
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    x = random_inputs(model)
    (delta,) = compare(run(before, x), run(model, x))
    assert delta.within(2e-2)


def is_half(node: ir.Node) -> bool:
    return node.outputs[0].dtype == HALF


def test_a_second_time_changes_nothing(rewrite):
    found = rewrite(graph(STATISTIC), ConvertFloat16(max_reduced=4))
    again = rewrite(found.model, ConvertFloat16(max_reduced=4))
    assert not again.context.rewrites


def test_the_manager_accepts_it():
    verify = Verify("each")
    records = PassManager(
        Pipeline.parse("infer-shapes,convert-fp16"), [ChangeDetection(), verify]
    ).run(graph(STATISTIC))
    assert records[-1].changed
    assert not verify.warnings


def test_ten_thousand_nodes(rewrite):
    nodes = [helper.make_node("Relu", [f"v{i}"], [f"v{i + 1}"]) for i in range(10_000)]
    nodes[5_000].op_type = "Exp"
    x = helper.make_tensor_value_info("v0", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("v10000", TensorProto.FLOAT, [1])
    made = helper.make_graph(nodes, "long", [x], [y])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    found = rewrite(ir.from_proto(model), ConvertFloat16(), runs=False)
    assert casts(found.model) == ["FLOAT16", "FLOAT"]
    assert [rewrite.note for rewrite in found.context.rewrites] == ["5000 nodes in float16"]


def _emulated(model: ir.Model) -> bytes:
    return emulated(model_io.to_proto(model)).SerializeToString()


@pytest.mark.parametrize("optimize", [False, True])
def test_the_emulation_rounds_as_float16_does(optimize):
    model = graph("a = Cast<to=10>(x) y = Cast<to=1>(a)", inputs="float[N] x", outputs="float[N] y")
    generator = np.random.default_rng(0)
    x = generator.standard_normal(50_000) * 10.0 ** generator.uniform(-9, 6, 50_000)
    edges = [0, 65504, 65519, 65520, -65520, 2**-25, 1.5 * 2**-24, np.inf, -np.inf, 1e38, 2**-14]
    x = np.concatenate([x, edges]).astype(np.float32)
    after = Session(_emulated(model), optimize=optimize).run({"x": x})["y"]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(after, x.astype(np.float16).astype(np.float32))


@given(networks())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_networks(rewrite, proto):
    found = rewrite(ir.from_proto(proto), ConvertFloat16())
    inputs = random_inputs(found.before, seed=1)
    for delta in compare(run(found.before, inputs), run(_emulated(found.model), inputs)):
        assert delta.within(ConvertFloat16.contract.tolerance), delta
    for value in (value for node in found.model.graph for value in node.outputs):
        directions = Counter(
            use.node.outputs[0].dtype for use in value.uses() if use.node.op_type == "Cast"
        )
        assert all(count == 1 for count in directions.values())
        producer = value.producer()
        assert producer.op_type != "Cast" or not directions
    assert not rewrite(found.model, ConvertFloat16()).context.rewrites
