from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass
from fake_quantisation import snr
from onnx import numpy_helper

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.graph.annotations import Grid, set_grid
from lprc.core.onnx_io import model_io
from lprc.core.running.numerics import run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes.quantize_weights import QuantizeWeights

ALL = {"min_elements": 0}
WEIGHTS = {
    "w": (8, 4, 3, 3), "t": (4, 4, 2, 2), "g": (6, 8), "gt": (8, 6), "cube": (1, 8, 6),
    "left": (5, 8), "leftt": (8, 5), "large": (200, 4, 6, 6),
}  # fmt: skip


def network(body: str, opset: int = 21) -> ir.Model:
    proto = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : {opset}]>
        g (float[1,4,6,6] x, float[3,8] m, bool flag) => (float[] y) {{ {body} }}"""
    )
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    generator = np.random.default_rng(1)
    for name, shape in WEIGHTS.items():
        array = generator.standard_normal(shape).astype(np.float32)
        # Slices of different sizes along every axis show a scale on the wrong one.
        for axis, size in enumerate(shape):
            factor = np.linspace(1, 3, size).reshape(
                [-1 if i == axis else 1 for i in range(array.ndim)]
            )
            array = array * factor
        if f" {name}" in body or f"({name}" in body:
            proto.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    return model_io.from_proto(onnx.shape_inference.infer_shapes(proto))


def quantised(model: ir.Model, **options) -> tuple[ir.Model, list[str]]:
    made = model_io.from_proto(model_io.to_proto(model))
    context = apply_pass(made, QuantizeWeights(**{**ALL, **options}))
    onnx.checker.check_model(model_io.to_proto(made), full_check=True)
    return made, [skip.reason for skip in context.skips]


def dequantizer(model: ir.Model) -> ir.Node:
    (found,) = [node for node in model.graph if node.op_type == "DequantizeLinear"]
    return found


# The body; the axis with the output channels and that which is summed over, and their sizes.
FORMS = {
    "Conv": ("y = Conv(x, w)", 0, 8, 1),
    "grouped Conv": ("i = Concat<axis=1>(x, x) y = Conv<group=2>(i, w)", 0, 8, 1),
    "ConvTranspose": ("y = ConvTranspose(x, t)", 1, 4, 0),
    "grouped ConvTranspose": ("y = ConvTranspose<group=2>(x, t)", 1, 4, 0),
    "Gemm": ("y = Gemm(m, gt)", 1, 6, 0),
    "Gemm transB": ("y = Gemm<transB=1>(m, g)", 0, 6, 1),
    "MatMul": ("y = MatMul(m, gt)", 1, 6, 0),
    "MatMul of three axes": ("y = MatMul(m, cube)", 2, 6, 1),
    "MatMul on the left": ("i = Transpose(m) y = MatMul(left, i)", 0, 5, 1),
    "Gemm on the left": ("i = Transpose(m) y = Gemm(left, i)", 0, 5, 1),
    "Gemm on the left, transA": ("i = Transpose(m) y = Gemm<transA=1>(leftt, i)", 1, 5, 0),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_scale_a_channel(form):
    body, axis, size, _ = FORMS[form]
    before = network(body)
    after, reasons = quantised(before)
    found = dequantizer(after)
    assert not reasons
    assert editing.attribute(found, "axis") == axis
    assert editing.constant(found.inputs[1]).shape == (size,)
    assert editing.constant(found.inputs[0]).dtype == np.int8
    assert snr(before, after, [random_inputs(before)]) > 38


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("form", FORMS)
def test_blocks_along_what_is_summed(form, bits):
    body, _, _, axis = FORMS[form]
    before = network(body)
    after, reasons = quantised(before, bits=bits, block=2)
    found = dequantizer(after)
    weight, scale = (editing.constant(value) for value in found.inputs[:2])
    assert not reasons
    assert (editing.attribute(found, "axis"), editing.attribute(found, "block_size")) == (axis, 2)
    assert scale.shape == tuple(
        size // 2 if each == axis else size for each, size in enumerate(weight.shape)
    )
    assert snr(before, after, [random_inputs(before)]) > (40 if bits == 8 else 15)


def test_four_bits_are_stored_in_four_bits():
    after, _ = quantised(network("y = Conv(x, w)"), bits=4)
    stored = after.graph.initializers["w_quantized"]
    assert stored.dtype == ir.DataType.INT4
    assert stored.const_value.nbytes == 8 * 4 * 9 // 2
    assert set(np.unique(stored.const_value.numpy().astype(int))) <= set(range(-7, 8))


def test_about_a_quarter_of_the_size():
    before = network("y = Conv(x, large)")
    after, _ = quantised(before)
    assert len(model_io.to_bytes(after)) < 0.3 * len(model_io.to_bytes(before))


SKIPPED = {
    "its weight is not constant": ("i = Add(x, x) y = Conv(x, i)", {}),
    "its weight is small": ("y = Conv(x, w)", {"min_elements": 289}),
}


@pytest.mark.parametrize("reason", SKIPPED)
def test_what_is_left_alone(reason):
    body, options = SKIPPED[reason]
    after, reasons = quantised(network(body), **options)
    assert reasons == [reason]
    assert "DequantizeLinear" not in [node.op_type for node in after.graph]


def test_float16_and_infinite_weights_are_left_alone():
    for array, reason in (
        (np.ones((8, 4, 3, 3), np.float16), "its weight is not float32"),
        (np.full((8, 4, 3, 3), np.nan, np.float32), "its weight has NaN or infinite values"),
    ):
        model = network("y = Conv(x, w)")
        model.graph[0].replace_input_with(1, editing.add_initializer(model.graph, "v", array))
        context = apply_pass(model, QuantizeWeights(**ALL))
        assert [skip.reason for skip in context.skips] == [reason]


def test_a_weight_of_an_outer_graph():
    body = (
        "y = If(flag) <then_branch = t1 () => (float[1,8,4,4] j) { j = Conv(x, w) },"
        " else_branch = t2 () => (float[1,8,4,4] k) { k = Conv(x, w) }> z = Conv(x, w)"
    )
    _, reasons = quantised(network(body))
    assert reasons == ["its weight belongs to an outer graph"] * 2


def test_a_weight_that_two_share_is_stored_once():
    after, _ = quantised(network("a = Conv(x, w) i = Conv(x, w) y = Add(a, i)"))
    assert [node.op_type for node in after.graph] == ["DequantizeLinear", "Conv", "Conv", "Add"]
    assert set(after.graph.initializers) == {"w_quantized", "w_scale"}


def test_a_grid_is_kept():
    model = network("y = Conv(x, w)")
    scale = np.full((8, 2, 3, 3), 0.5, np.float32)
    set_grid(model.graph.initializers["w"], Grid(4, 1, 2, scale))
    apply_pass(model, QuantizeWeights(bits=4, block=2, **ALL))
    np.testing.assert_array_equal(editing.constant(model.graph.initializers["w_scale"]), scale)


@pytest.mark.parametrize("options", [{"bits": 4}, {"block": 2}], ids=["int4", "blocks"])
def test_an_opset_without_them(options):
    with pytest.raises(UsageError, match=r"opset 20 has no such DequantizeLinear.*version=21"):
        apply_pass(network("y = Conv(x, w)", opset=20), QuantizeWeights(**options))


def test_only_chosen_operators():
    after, _ = quantised(network("y = Conv(x, w)"), operators=("Gemm",))
    assert "DequantizeLinear" not in [node.op_type for node in after.graph]


def test_options():
    with pytest.raises(ValueError, match="must not be negative"):
        QuantizeWeights(block=-1)


def test_same_bytes_twice():
    first, second = (quantised(network("y = Conv(x, w)"), bits=4, block=2)[0] for _ in range(2))
    assert model_io.to_bytes(first) == model_io.to_bytes(second)
    run(first, random_inputs(first))


def test_bisection():
    model = network("a = Conv(x, w) i = ConvTranspose(x, t) y = Neg(i)")
    context = apply_pass(model, QuantizeWeights(**ALL), limit=1)
    assert len(context.rewrites) == 1
    assert dequantizer(model).name == "w_dequantize"


def test_a_recorded_grid_decides_bits_blocks_and_scales():
    from lprc.core.graph.annotations import Grid, set_grid

    source = network("y = Conv(x, w)")
    value = source.graph.initializers["w"]
    scale = np.full((8, 2, 3, 3), 0.5, np.float32)
    set_grid(value, Grid(4, 1, 2, scale))
    after, _ = quantised(source, bits=8)
    assert after.graph.initializers["w_quantized"].dtype == ir.DataType.INT4
    assert np.array_equal(after.graph.initializers["w_scale"].const_value.numpy(), scale)


def test_a_grid_along_another_axis_is_left_alone():
    from lprc.core.graph.annotations import Grid, set_grid

    source = network("y = Conv(x, w)")
    set_grid(source.graph.initializers["w"], Grid(8, 1, 0, np.ones(4, np.float32)))
    _, reasons = quantised(source)
    assert reasons == ["its recorded grid lies along another axis"]
