from __future__ import annotations

import math

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass
from fake_quantisation import snr
from hypothesis import given, settings
from onnx import numpy_helper
from quantised_graphs import found as violations
from random_dead_channels import dead_networks

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.graph.annotations import Grid, Range, range_of, set_grid, set_range
from lprc.core.graph.operators import ACTIVATIONS
from lprc.core.onnx_io import model_io
from lprc.core.quantization.affine import activation_params, fake_quantize, weight_scale
from lprc.core.running.numerics import run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes.calibrate import Calibrate
from lprc.passes.insert_qdq import InsertQDQ

WEIGHTS = {
    "w": (4, 3, 3, 3), "b": (4,), "v": (5, 4, 1, 1), "t": (4, 3, 2, 2), "t_bias": (6,),
    "g": (8, 6), "gt": (6, 8), "left": (7, 5), "row": (1, 8), "eight": (8,), "one_value": (1,),
    "slope": (4, 1, 1),
}  # fmt: skip


def network(body: str, outputs: str = "y", opset: int = 20) -> ir.Model:
    text = f"""<ir_version: 9, opset_import: ["" : {opset}]>
    g (float[1,3,6,6] x, float[5,6] m) => ({", ".join(f"float[] {o}" for o in outputs.split(", "))})
    <int64[2] sizes = {{4, 3}}> {{ {body} }}"""
    proto = onnx.parser.parse_model(text)
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    used = {name for node in proto.graph.node for name in node.input}
    generator = np.random.default_rng(1)
    for name, shape in WEIGHTS.items():
        array = generator.standard_normal(shape).astype(np.float32) / math.sqrt(
            math.prod(shape[1:])
        )
        if name in used:
            proto.graph.initializer.append(numpy_helper.from_array(array, name))
    return model_io.from_proto(onnx.shape_inference.infer_shapes(proto))


def copy(model: ir.Model) -> ir.Model:
    return model_io.from_proto(model_io.to_proto(model))


def quantised(model: ir.Model, **options) -> tuple[ir.Model, list[str]]:
    """A calibrated copy with Q/DQ, checked, and the reasons for what was left alone."""
    made = copy(model)
    samples = [random_inputs(made, seed=seed) for seed in range(8)]
    apply_pass(made, Calibrate(method="min-max"), calibration=samples)
    context = apply_pass(made, InsertQDQ(**options))
    onnx.checker.check_model(model_io.to_proto(made), full_check=True)
    return made, [skip.reason for skip in context.skips]


def noise(before: ir.Model, after: ir.Model) -> float:
    return snr(before, after, [random_inputs(before, seed=seed) for seed in range(4)])


FORMS = {
    "Conv": "a = Conv(x, w, b) r = Relu(a) y = Conv(r, v)",
    "grouped ConvTranspose": "a = Conv(x, w, b) i = ConvTranspose<group=2>(a, t, t_bias) y = Neg(i)",
    "Gemm": "a = Gemm(m, gt, eight) y = Relu(a)",
    "Gemm transB": "a = Gemm<transB=1>(m, g, eight) y = Relu(a)",
    "MatMul": "y = MatMul(m, gt)",
    "MatMul of two activations": "i = Transpose(m) y = MatMul(m, i)",
    "MatMul with the constant on the left": "y = MatMul(left, m)",
    "Gemm with the constant on the left": "y = Gemm(left, m)",
    "Concat and pools": "a = Conv<pads=[1,1,1,1]>(x, w, b) r = Relu(a) i = Concat<axis=1>(r, x)"
    " j = MaxPool<kernel_shape=[2,2]>(i) k, rest = Split<axis=1>(j, sizes) y = Conv(k, v)",
}  # fmt: skip
OPTIONS = {
    "TensorRT": {"scheme": "symmetric"},
    "TensorRT, explicit weights": {"scheme": "symmetric", "weights": "float"},
    "OpenVINO": {"scheme": "unsigned", "carry": "through", "share": True},
    "ONNX Runtime": {"scheme": "unsigned", "share": True, "outputs": True, "bias": "int32", "residual": "both"},
    "asymmetric": {"scheme": "asymmetric", "bias": "int32"},
    "per tensor": {"per_channel": False, "bias": "int32"},
}  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", FORMS)
def test_eight_bits_come_near_the_float_model(name, options):
    before = network(FORMS[name])
    after, reasons = quantised(before, **OPTIONS[options])
    if "its output leaves the graph in float" not in reasons:
        assert "QuantizeLinear" in [node.op_type for node in after.graph]
        assert noise(before, after) > 28


ACTIVATED = {op: f"{op}(a)" for op in ACTIVATIONS} | {"PRelu": "PRelu(a, slope)"}


@pytest.mark.parametrize("options", ["OpenVINO", "ONNX Runtime"])
@pytest.mark.parametrize("op", sorted(ACTIVATED))
def test_no_pair_comes_between_a_conv_and_its_activation(op, options):
    body = f"a = Conv(x, w, b) r = {ACTIVATED[op]} p = GlobalAveragePool(r) y = Conv(p, v)"
    before = network(body, opset=24)
    after, _ = quantised(before, **OPTIONS[options])
    assert not violations(after, "qdq-dangling")
    assert [node.op_type for node in after.graph if node.inputs[0].name == "a"] == [op]
    assert noise(before, after) > 28


@pytest.mark.parametrize("options", OPTIONS)
@settings(max_examples=25, deadline=None)
@given(model=dead_networks())
def test_random_networks_stay_valid(options, model):
    after, _ = quantised(model_io.from_proto(model), **OPTIONS[options])
    for array in run(after, random_inputs(after)).values():
        assert np.isfinite(array).all()


def test_the_pairs_are_on_the_inputs_of_the_convs():
    after, _ = quantised(network(FORMS["Conv"]))
    for node in after.graph:
        if node.op_type == "Conv":
            assert [node.inputs[i].producer().op_type for i in (0, 1)] == ["DequantizeLinear"] * 2
        if node.op_type == "Relu":
            assert node.inputs[0].producer().op_type == "Conv"


def test_a_conv_computes_what_fake_quantisation_says():
    before = network("y = Conv(x, w)")
    after, _ = quantised(before)
    inputs = random_inputs(before, seed=20)
    params = activation_params(range_of(after.graph.inputs[0]), "symmetric")
    weight = editing.constant(before.graph[0].inputs[1])
    scale = weight_scale(weight, 0).reshape(-1, 1, 1, 1)
    before.graph[0].replace_input_with(
        1, editing.add_initializer(before.graph, "rounded", (np.rint(weight / scale) * scale).astype(np.float32))
    )  # fmt: skip
    inputs_rounded = {**inputs, "x": fake_quantize(inputs["x"], params)}
    np.testing.assert_allclose(run(after, inputs)["y"], run(before, inputs_rounded)["y"], atol=1e-5)


def test_carried_values_have_one_scale():
    after, _ = quantised(network(FORMS["Concat and pools"]))
    scales = {
        float(editing.constant(node.inputs[1]))
        for node in after.graph
        if node.op_type == "QuantizeLinear" and node.inputs[0].name in ("r", "x", "i", "j", "k")
    }
    # x is also what the first Conv reads.
    assert len(scales) == 1


def test_a_weight_that_two_share_is_stored_once():
    after, _ = quantised(
        network("a = Conv<pads=[1,1,1,1]>(x, w) i = Conv<pads=[1,1,1,1]>(x, w) y = Add(a, i)")
    )
    stored = [
        value.name for value in after.graph.initializers.values() if "quantized" in value.name
    ]
    assert stored == ["w_quantized"]
    assert "w" not in after.graph.initializers


def test_a_grid_is_kept():
    model = network("y = Conv(x, w)")
    weight = model.graph.initializers["w"]
    scale = np.full(4, 0.5, np.float32)
    set_grid(weight, Grid(8, 0, 0, scale))
    set_range(model.graph.inputs[0], Range(-1, 1))
    apply_pass(model, InsertQDQ())
    np.testing.assert_array_equal(editing.constant(model.graph.initializers["w_scale"]), scale)


def test_a_grid_of_another_kind_is_not():
    model = network("y = Conv(x, w)")
    set_grid(model.graph.initializers["w"], Grid(4, 0, 0, np.full(4, 0.5, np.float32)))
    set_range(model.graph.inputs[0], Range(-1, 1))
    apply_pass(model, InsertQDQ())
    expected = weight_scale(editing.constant(network("y = Conv(x, w)").graph[0].inputs[1]), 0)
    np.testing.assert_array_equal(editing.constant(model.graph.initializers["w_scale"]), expected)


def test_int32_biases():
    after, reasons = quantised(network(FORMS["grouped ConvTranspose"]), bias="int32")
    assert not reasons
    for name in ("b_quantized", "t_bias_quantized"):
        assert editing.constant(after.graph.initializers[name]).dtype == np.int32
    # The scales of one group's channels are those of the other's too.
    scale = editing.constant(after.graph.initializers["t_bias_scale"])
    np.testing.assert_array_equal(scale[:3], scale[3:])


BIASES = {
    "its bias is not a constant float32 vector": "a = Gemm(m, gt, row) y = Relu(a)",
    "alpha or beta is not 1": "a = Gemm<beta=2.0>(m, gt, eight) y = Relu(a)",
    "its bias is not one value a channel": "a = Gemm(m, gt, one_value) y = Relu(a)",
}


@pytest.mark.parametrize("reason", BIASES)
def test_biases_that_stay_float(reason):
    before = network(BIASES[reason])
    after, reasons = quantised(before, bias="int32")
    assert reasons == [reason]
    assert noise(before, after) > 30


def test_alpha_keeps_the_bias_float():
    _, reasons = quantised(network("a = Gemm<alpha=0.5>(m, gt, eight) y = Relu(a)"), bias="int32")
    assert reasons == ["alpha or beta is not 1"]


def test_a_bias_that_does_not_fit():
    model = network("y = Conv(x, w, b)")
    big = editing.add_initializer(model.graph, "big", np.full(4, 1e30, np.float32))
    model.graph[0].replace_input_with(2, big)
    _, reasons = quantised(model, bias="int32")
    assert reasons == ["its bias does not fit int32"]


def test_weights_that_are_not_finite():
    model = network("y = Conv(x, w)")
    bad = np.full((4, 3, 3, 3), np.inf, np.float32)
    model.graph[0].replace_input_with(1, editing.add_initializer(model.graph, "bad", bad))
    set_range(model.graph.inputs[0], Range(-1, 1))
    context = apply_pass(model, InsertQDQ())
    assert [skip.reason for skip in context.skips] == ["its weight has NaN or infinite values"]


def test_a_weight_of_zeros():
    model = network("y = Conv(x, w, b)")
    zeros = editing.add_initializer(model.graph, "zeros", np.zeros((4, 3, 3, 3), np.float32))
    model.graph[0].replace_input_with(1, zeros)
    before = copy(model)
    after, _ = quantised(model, bias="int32")
    inputs = random_inputs(before)
    # The bias is a whole number of the input's scale, which is about 3 / 127.
    np.testing.assert_allclose(run(after, inputs)["y"], run(before, inputs)["y"], atol=2e-2)


def test_no_ranges():
    with pytest.raises(UsageError, match="no activation has a range") as caught:
        apply_pass(network(FORMS["Conv"]), InsertQDQ())
    assert "--calib" in str(caught.value)


def test_a_graph_with_nothing_to_quantise_needs_no_ranges():
    assert not apply_pass(network("y = Relu(x)"), InsertQDQ()).rewrites


def test_an_excluded_node_that_does_not_exist():
    with pytest.raises(UsageError, match="no node is called 'nobody'"):
        apply_pass(network(FORMS["Conv"]), InsertQDQ(exclude=("nobody",)))


def test_excluded_by_name():
    after, reasons = quantised(
        network("[one] a = Conv(x, w) [two] y = Conv(a, v)"), exclude=("two",)
    )
    assert reasons == ["excluded"]
    assert [node.op_type for node in after.graph].count("QuantizeLinear") == 1


def test_an_opset_without_the_operators():
    context = apply_pass(network("y = Conv(x, w)", opset=12), InsertQDQ())
    assert [skip.reason for skip in context.skips] == ["opset below 13"]


def test_a_graph_output_keeps_its_float_value():
    after, _ = quantised(network("r = Relu(x) y = Conv(r, w)", "y, r"), share=True)
    assert after.graph.outputs[1].producer().op_type == "Relu"


def test_same_bytes_twice():
    model = network(FORMS["Concat and pools"])
    first, second = (quantised(model, **OPTIONS["ONNX Runtime"])[0] for _ in range(2))
    assert model_io.to_bytes(first) == model_io.to_bytes(second)


@pytest.mark.parametrize("limit", range(5))
def test_bisection_leaves_a_valid_graph(limit):
    model = network(FORMS["Conv"])
    for value in [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]:
        set_range(value, Range(-4, 4))
    context = apply_pass(model, InsertQDQ(bias="int32"), limit=limit)
    assert len(context.rewrites) == min(limit, 4)
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    run(model, random_inputs(model))
