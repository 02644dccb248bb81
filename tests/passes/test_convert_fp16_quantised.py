"""Q/DQ in float16: which scales fit, and no Cast between DequantizeLinear and what computes on it.

Numbers are taken from the emulation: ONNX Runtime before 1.30 truncates in a float16
QuantizeLinear (https://github.com/microsoft/onnxruntime/pull/32452).
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass
from half_arithmetic import emulated
from hypothesis import given, settings
from random_cnn import networks

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.onnx_io import model_io
from lprc.core.passing.contract import approximate, lossy
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Session, run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes.convert_fp16 import ConvertFloat16

HALF, SINGLE = ir.DataType.FLOAT16, ir.DataType.FLOAT
NORMAL = 2.0**-14
QUANTISED = """[a_q] q = QuantizeLinear(x, s, z) [a_dq] d = DequantizeLinear(q, s, z)
    [w_dq] v = DequantizeLinear<axis=0>(w, t)"""
GEMM = f"{QUANTISED} [linear] y = Gemm<transB=1>(d, v)"


def graph(body: str, *, outputs: str = "float[A,B] y", **arrays: object) -> ir.Model:
    """ONNX text with weights, by default those that `QUANTISED` uses."""
    given = {
        "s": np.float32(0.1),
        "z": np.int8(0),
        "w": np.array([[3, -5], [127, 100]], np.int8),
        "t": np.array([0.25, 0.5], np.float32),
        **arrays,
    }
    proto = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21]> g (float[3,2] x) => ({outputs}) {{ {body} }}'
    )
    words = set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())
    proto.graph.initializer.extend(
        ir.to_proto(ir.tensor(np.asarray(array), name=name))
        for name, array in given.items()
        if name in words
    )
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


def reasons(model: ir.Model, **options: object) -> dict[str, str]:
    context = apply_pass(model, ConvertFloat16(**options))
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    return {skip.node: skip.reason for skip in context.skips}


def initializer(model: ir.Model, name: str) -> np.ndarray:
    array = editing.constant(model.graph.initializers[name])
    assert array is not None
    return array


def casts_of_dequantised(model: ir.Model) -> list[str]:
    return [
        str(node.name)
        for node in model.graph
        if editing.is_op(node, "Cast")
        and editing.is_op(node.inputs[0].producer(), "DequantizeLinear")
    ]


def dtypes(model: ir.Model) -> dict[str, ir.DataType]:
    """The type of the scale of each Q/DQ, of the output of each other node."""
    return {
        str(node.name): (
            node.inputs[1] if node.op_type.endswith("eLinear") else node.outputs[0]
        ).dtype
        for node in model.graph
    }


def test_a_small_weight_scale_is_raised():
    model = graph(GEMM, t=np.array([0.25, 1e-5], np.float32))
    assert not reasons(model)
    assert initializer(model, "t_raised_f16").tolist() == [0.25, NORMAL]
    moved = np.rint(np.array([127, 100]) * np.float32(1e-5) / NORMAL)
    assert initializer(model, "w_raised").tolist() == [[3, -5], moved.tolist()]
    assert {"w", "t"}.isdisjoint(model.graph.initializers)


def test_a_raised_weight_hardly_moves_the_result():
    scales = np.array([0.25, 1e-5], np.float32)
    before, model = graph(GEMM, t=scales), graph(GEMM, t=scales)
    reasons(model)
    x = {"x": np.array([[1, 2], [-3, 4], [0.5, -1]], np.float32)}
    error = np.abs(run(_emulated(model), x)["y"] - run(before, x)["y"])
    assert error[:, 0].max() < 2e-3
    # Both weights may be off by half of 2^-14, and read at most 4.
    assert error[:, 1].max() < NORMAL / 2 * (3 + 4)


def test_a_scale_of_four_bit_blocks_is_raised():
    body = "v = DequantizeLinear<axis=0, block_size=2>(w, t) y = MatMul(x, v)"
    weight = np.array([[7, -8], [1, 2]]).astype(ml_dtypes.int4)
    model = graph(body, w=weight, t=np.array([[0.5, 1e-6]], np.float32))
    assert not reasons(model)
    stored = initializer(model, "w_raised")
    assert stored.dtype == ml_dtypes.int4
    assert stored.astype(int).tolist() == [[7, 0], [1, 0]]
    assert initializer(model, "t_raised_f16").tolist() == [[0.5, NORMAL]]


def test_constant_nodes_are_raised_and_go():
    body = """w8 = Constant<value = int8[2,2] {3, -5, 127, 100}>()
        t2 = Constant<value = float[2] {0.25, 0.00001}>()
        v = DequantizeLinear<axis=0>(w8, t2) y = MatMul(x, v)"""
    model = graph(body)
    assert not reasons(model)
    assert not any(editing.is_op(node, "Constant") for node in model.graph)
    assert initializer(model, "t2_raised_f16").tolist() == [0.25, NORMAL]


def test_a_weight_that_two_read_is_raised_once():
    both = "v = DequantizeLinear<axis=0>(w, t) u = DequantizeLinear<axis=0>(w, t)"
    model = graph(f"{both} a = MatMul(x, v) y = MatMul(a, u)", t=np.array([0.25, 1e-5], np.float32))
    assert not reasons(model)
    assert set(model.graph.initializers) == {"w_raised", "t_raised_f16"}


DOES_NOT_FIT = "the scale does not fit float16"


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"t": np.array([1e-5, 2e-5], np.float32)}, DOES_NOT_FIT),  # all of the weight would move
        ({"t": np.array([0.25, 0.0], np.float32)}, DOES_NOT_FIT),
        ({"t": np.array([0.25, -1e-5], np.float32)}, DOES_NOT_FIT),
        ({"t": np.array([0.25, 70000], np.float32)}, DOES_NOT_FIT),
        ({"t": np.array([0.25, 520], np.float32)}, "dequantised values exceed float16"),
    ],
)
def test_a_weight_whose_scale_can_not_be_float16_keeps_its_operator_in_float32(arrays, reason):
    model = graph(GEMM, **arrays)
    assert reasons(model) == {
        "w_dq": reason,
        "linear": "reads a dequantised float32",
        "a_dq": "a float32 operator reads it",
    }
    assert set(dtypes(model).values()) == {SINGLE}


@pytest.mark.parametrize(
    "arrays",
    [
        {"zw": np.array([0, 1], np.int8)},
        {"w": np.array([[3, 5], [127, 100]], np.uint8), "zw": np.zeros(2, np.uint8)},
    ],
)
def test_only_symmetric_signed_weights_are_raised(arrays):
    body = "[w_dq] v = DequantizeLinear<axis=0>(w, t, zw) y = MatMul(x, v)"
    model = graph(body, t=np.array([0.25, 1e-5], np.float32), **arrays)
    assert reasons(model) == {"w_dq": DOES_NOT_FIT}


@pytest.mark.parametrize(
    ("scale", "zero", "largest"),
    [(511.0, np.int8(0), 511 * 128), (500.0, np.uint8(0), 500 * 255)],
)
def test_an_activation_scale_is_judged_by_the_largest_integer(scale, zero, largest):
    model = graph(GEMM, s=np.float32(scale), z=zero)
    found = reasons(model)
    assert ("a_dq" in found) == (largest > 65504)
    assert found.get("a_dq") in (None, "dequantised values exceed float16")


def test_a_float32_operator_keeps_what_it_reads_and_that_its_other_readers():
    body = f"{QUANTISED} [first] y = Gemm<transB=1>(d, v) [second] k = MatMul(d, w2)"
    model = graph(body, outputs="float[A,B] y, float[A,B] k", w2=np.full((2, 2), 1e6, np.float32))
    assert reasons(model) == {
        "second": "a weight exceeds float16",
        "a_dq": "a float32 operator reads it",
        "first": "reads a dequantised float32",
        "w_dq": "a float32 operator reads it",
    }
    assert not casts_of_dequantised(model)


def test_a_float32_operator_that_is_not_linear_keeps_nothing():
    body = f"{QUANTISED} [linear] y = Gemm<transB=1>(d, v) [steep] k = Exp(d)"
    model = graph(body, outputs="float[A,B] y, float[A,B] k")
    assert reasons(model) == {"steep": "may overflow: no known range"}
    assert dtypes(model)["linear"] == HALF


def test_a_quantised_bias_is_cast():
    body = f"{QUANTISED} [b_dq] c = DequantizeLinear(b, u) [linear] y = Gemm<transB=1>(d, v, c)"
    model = graph(body, b=np.array([100, -7], np.int32), u=np.float32(1e-5))
    assert reasons(model) == {"b_dq": DOES_NOT_FIT}
    assert casts_of_dequantised(model) == ["c_to_f16"]
    assert dtypes(model)["linear"] == HALF


def test_a_weight_of_a_float_operator_is_cast():
    body = "[w_dq] v = DequantizeLinear<axis=0>(w, t) [linear] y = MatMul(x, v)"
    model = graph(body, t=np.array([1e-5, 2e-5], np.float32))
    assert reasons(model) == {"w_dq": DOES_NOT_FIT}
    assert dtypes(model)["linear"] == HALF


def test_a_pair_has_one_scale_though_its_sides_have_two_types():
    body = f"[steep] e = Exp(x) {GEMM.replace('Linear(x', 'Linear(e')}"
    model = graph(body)
    reasons(model)
    assert (dtypes(model)["a_q"], dtypes(model)["a_dq"]) == (SINGLE, HALF)
    rounded = initializer(model, "s_rounded")
    assert rounded == np.float32(np.float16(0.1)) != np.float32(0.1)
    assert "s" not in model.graph.initializers


def test_pairs_that_move_integers_between_them_have_one_scale():
    body = GEMM.replace("[a_dq]", "r = Identity(q) [a_dq]").replace("(q, s, z)", "(r, s2, z)")
    model = graph(body, s2=np.float32(0.1))
    assert not reasons(model)
    assert dtypes(model)["a_q"] == SINGLE
    assert initializer(model, "s_rounded") == initializer(model, "s2_f16")


def test_a_second_time_changes_nothing():
    model = graph(f"[steep] e = Exp(x) {GEMM.replace('Linear(x', 'Linear(e')}")
    reasons(model)
    before = model_io.to_bytes(model)
    assert not apply_pass(model, ConvertFloat16()).rewrites
    assert model_io.to_bytes(model) == before


def test_a_copy_made_before_stays_as_it_was():
    model = graph(GEMM)
    copy, before = model.clone(), model_io.to_bytes(model)
    reasons(model)
    assert dtypes(model)["linear"] == HALF
    assert model_io.to_bytes(copy) == before


def test_a_pair_on_one_side_keeps_its_scale():
    model = graph(GEMM)
    assert reasons(model, keep_ops=("Gemm",))["a_dq"] == "a float32 operator reads it"
    assert initializer(model, "s") == np.float32(0.1)


def test_float32_scales_on_request():
    model = graph(GEMM)
    before = model_io.to_bytes(model)
    found = reasons(model, scales="float32")
    assert found == dict.fromkeys(["a_q", "a_dq", "w_dq"], "kept by scales=float32")
    assert dtypes(model)["linear"] == HALF
    assert casts_of_dequantised(model) == ["d_to_f16", "v_to_f16"]
    x = random_inputs(model)
    np.testing.assert_allclose(run(model, x)["y"], run(before, x)["y"], rtol=2e-3, atol=2e-3)


def test_what_it_promises():
    assert ConvertFloat16().contract == approximate(2e-2)
    assert ConvertFloat16(promise="accuracy").contract == lossy("accuracy")
    assert ConvertFloat16.contract == approximate(2e-2)


@pytest.mark.parametrize("option", ["promise=nothing", "scales=bfloat16"])
def test_options_that_are_not_there(option):
    with pytest.raises(UsageError, match=option.partition("=")[2]):
        Pipeline.parse(f"convert-fp16{{{option}}}")


@given(networks())
@settings(max_examples=40)
def test_random_networks(proto):
    source = model_io.from_proto(proto)
    samples = [random_inputs(source, seed=seed) for seed in range(8)]
    model = model_io.from_proto(proto)
    pipeline = "infer-shapes,calibrate{method=min-max},insert-qdq{quantized=keep}"
    PassManager(Pipeline.parse(pipeline), calibration=samples).run(model)
    quantised = model_io.to_bytes(model)
    PassManager(Pipeline.parse("convert-fp16{promise=accuracy}")).run(model)
    onnx.checker.check_model(model_io.to_proto(model), full_check=True)
    for node in model.graph:
        if editing.is_op(node, "Conv"):
            makers = [value.producer() for value in node.inputs[:2]]
            assert all(editing.is_op(maker, "DequantizeLinear") for maker in makers)
    exact = Session(proto.SerializeToString()).run(samples[0])
    whole = Session(quantised).run(samples[0])
    half = Session(_emulated(model)).run(samples[0])
    for name, array in exact.items():
        # Rounding moves some integers by one: no more error than quantisation made already.
        error = np.linalg.norm(whole[name] - array) + 2e-2 * np.linalg.norm(array)
        assert np.linalg.norm(half[name] - array) <= 1.5 * error, name


def _emulated(model: ir.Model) -> bytes:
    return emulated(model_io.to_proto(model)).SerializeToString()
