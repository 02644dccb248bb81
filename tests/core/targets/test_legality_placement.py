"""How Q/DQ may stand to biases, to activations and to each other: legal and illegal forms."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest
from quantised_graphs import CONV, DIRECT, FLOAT_WEIGHT, QUANTIZED_BIAS, details, found, graph

# biases


def test_int32_bias():
    model = graph(QUANTIZED_BIAS)
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    assert found(model, "qdq-bias") == [
        ("conv", "bias 'bd' is INT32, behind node 'bdq' (DequantizeLinear)")
    ]
    assert not found(model, "qdq-bias", allowed="int32")
    assert not found(model, "qdq-bias", allowed="any")


def test_float_bias():
    assert not found(graph(), "qdq-bias", allowed="any")
    assert found(graph(), "qdq-bias", allowed="int32") == [
        ("conv", "bias 'b' is float, but both other inputs are quantised")
    ]
    weight_only = graph(CONV, ("Conv (xd, wd, b)", "Conv (x, wd, b)"))
    assert not found(weight_only, "qdq-bias", allowed="int32")


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("bs = {0.125, 0.0625}", "bs = {0.125, 0.125}",
         "has the scale 0.125 at channel 1, not input scale * weight scale = 0.0625"),
        ("(b, bs, bz)", "(b, s)",
         "has the scale 0.5 at channel 0, not input scale * weight scale = 0.125"),
        ("float[2] bs = {0.125, 0.0625}", "float[3] bs = {0.1, 0.1, 0.1}",
         "has 3 scales, the input 1, the weight 2"),
        ("int32[2] b = {4, 8}", "int8[2] b = {4, 8}", "is INT8, behind node 'bdq' (DequantizeLinear)"),
        ("Conv (xd, wd, bd)", "Conv (x, wd, bd)",
         "is INT32, but the other inputs are not both quantised"),
        ("3,3] x)", "3,3] x, float[2] t)", "has a scale that can't be checked: one of the three is not constant"),
    ],
)  # fmt: skip
def test_a_wrong_int32_bias(old, new, detail):
    more = [("(b, bs, bz)", "(b, t, bz)")] if "float[2] t" in new else []
    model = graph(QUANTIZED_BIAS, (old, new), *more)
    assert found(model, "qdq-bias", allowed="int32") == [("conv", f"bias 'bd' {detail}")]
    assert found(model, "qdq-bias", allowed="any") == [("conv", f"bias 'bd' {detail}")]


GEMM = """
g (float[1,2] x) => (float[1,2] y)
<float s = {0.5}, int8 z = {0}, float ws = {0.25}, int8[2,2] w = {1, 2, 3, 4}, int32[2] b = {1, 2}, float bs = {0.25}>
{
    [q] xq = QuantizeLinear (x, s, z)
    [dq] xd = DequantizeLinear (xq, s, z)
    [wdq] wd = DequantizeLinear (w, ws)
    [bdq] bd = DequantizeLinear (b, bs)
    [gemm] y = Gemm <alpha = 2.0> (xd, wd, bd)
}
"""


def test_alpha_and_beta_scale_the_sums_and_the_bias():
    assert not found(graph(GEMM), "qdq-bias", allowed="int32")
    model = graph(GEMM, ("alpha = 2.0", "beta = 2.0"))
    assert details(model, "qdq-bias", allowed="int32") == [
        "bias 'bd' has the scale 0.5, not input scale * weight scale = 0.125"
    ]


def test_bias_scales_of_a_grouped_conv_transpose():
    model = graph(
        QUANTIZED_BIAS,
        ("axis = 0> (w,", "axis = 1> (w,"),
        ("Conv (xd", "ConvTranspose <group = 2> (xd"),
        ("int32[2] b = {4, 8}, float[2] bs = {0.125, 0.0625}, int32[2] bz = {0, 0}",
         "int32[4] b = {4, 8, 4, 8}, float[4] bs = {0.125, 0.0625, 0.125, 0.0625}, int32[4] bz = {0, 0, 0, 0}"),
    )  # fmt: skip
    assert not found(model, "qdq-bias", allowed="int32")


# dangling nodes


@pytest.mark.parametrize(
    ("old", "new", "place", "detail"),
    [
        ("[dq] y = DequantizeLinear (i, s, z)", "y = Relu (x)", "q", "nothing uses its result"),
        ("[dq] y = DequantizeLinear (i, s, z)", "[c] y = Cast <to = 1> (i)", "q",
         "its result goes to node 'c' (Cast)"),
        ("[q] i = QuantizeLinear (x, s, z)", "[c] i = Cast <to = 3> (x)", "dq",
         "it reads 'i' of node 'c' (Cast)"),
        ("(i, s, z)", "(i, s2, z)", "dq",
         "its scale 0.25 (0.5) is not that of node 'q' (QuantizeLinear)"),
        ("(i, s, z)", "(i, s, z2)", "dq",
         "its zero point 4 (0) is not that of node 'q' (QuantizeLinear)"),
        ("(i, s, z)", "(i, v, z)", "dq", "its scale is not that of node 'q' (QuantizeLinear)"),
    ],
)  # fmt: skip
def test_dangling(old, new, place, detail):
    model = graph(
        DIRECT,
        (old, new),
        ("int8 z =", "float s2 = {0.25}, int8 z2 = {4}, int8 z ="),
        ("] x)", "] x, float v)"),
    )
    assert found(model, "qdq-dangling") == [(place, detail)]
    parted = "is not that of" in detail
    assert bool(found(model, "qdq-dangling", pairs="any")) is not parted


@pytest.mark.parametrize(
    "new",
    [
        DIRECT,
        DIRECT.replace("(i, s, z)", "(i, s)"),  # a zero point left out is 0
        DIRECT.replace("[dq]", "[dq2] o = DequantizeLinear (i, s, z) [dq]"),
        # The quantised value is an output, an input, or a constant.
        "g (float[2] x) => (int8[2] y) <float s = {0.5}, int8 z = {0}> { [q] y = QuantizeLinear (x, s, z) }",
        "g (int8[2] x) => (float[2] y) <float s = {0.5}> { [dq] y = DequantizeLinear (x, s) }",
        "g (float[2] x) => (float[2] y) <float s = {0.5}, int8[2] w = {1, 2}> { [dq] d = DequantizeLinear (w, s) y = Add (x, d) }",
        # Operators that compute on integers by themselves.
        """g (float[2,2] x) => (float[2,2] y) <float s = {0.5}, int8 z = {0}, int8[2,2] w = {1, 2, 3, 4}>
        { [q] i = QuantizeLinear (x, s, z) p = MatMulInteger (i, w) [dq] y = DequantizeLinear (p, s) }""",
    ],
)
def test_not_dangling(new):
    assert not found(graph(new), "qdq-dangling")


CARRIED = """
g (float[1,2,4,4] x, float[1,2,2,2] z) => (float[1,4,2,2] y) <float s = {0.5}, float t = {0.5}, int8 o = {0}>
{
    [q] a = QuantizeLinear (x, s, o)
    [pool] b = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a)
    [q2] c = QuantizeLinear (z, t, o)
    [cat] d = Concat <axis = 1> (b, c)
    [dq] y = DequantizeLinear (d, s, o)
}
"""


def test_carried():
    assert not found(graph(CARRIED), "qdq-dangling")


def test_carried_with_two_scales():
    assert found(graph(CARRIED, ("t = {0.5}", "t = {0.25}")), "qdq-dangling") == [
        ("dq", "its scale 0.5 (0.25) is not that of node 'q2' (QuantizeLinear)")
    ]


def test_resize_carries_only_the_nearest():
    text = """
        g (float[1,2,4,4] x) => (float[1,2,8,8] y) <float s = {0.5}, int8 o = {0}, float[4] k = {1.0, 1.0, 2.0, 2.0}>
        {
            [q] a = QuantizeLinear (x, s, o)
            [up] b = Resize <mode = "nearest"> (a, , k)
            [dq] y = DequantizeLinear (b, s, o)
        }"""
    assert not found(graph(text), "qdq-dangling")
    assert found(graph(text, ("nearest", "linear")), "qdq-dangling") == [
        ("q", "its result goes to node 'up' (Resize)"),
        ("dq", "it reads 'b' of node 'up' (Resize)"),
    ]


def test_a_pair_along_another_axis():
    model = graph(FLOAT_WEIGHT, ("DequantizeLinear <axis = 0>", "DequantizeLinear <axis = 1>"))
    assert found(model, "qdq-dangling") == [
        ("wdq", "its axis or block_size is not that of node 'wq' (QuantizeLinear)")
    ]


PARTED = CONV.replace(
    "[relu] y = Relu (c)",
    "[q2] i = QuantizeLinear (c, s, z) [dq2] d = DequantizeLinear (i, s, z) [relu] y = Relu (d)",
)


def test_between_a_conv_and_its_activation():
    detail = "it stands between node 'conv' (Conv) and node 'relu' (Relu)"
    assert found(graph(PARTED), "qdq-dangling") == [("q2", detail)]
    assert not found(graph(PARTED, ("Relu (d)", "Neg (d)")), "qdq-dangling")
    assert not found(graph(PARTED), "qdq-dangling", activations="allowed")


def test_what_others_read_too_is_not_fused_anyway():
    model = graph(PARTED, ("Relu (d)", "Relu (d) n = Neg (d)"))
    assert not found(model, "qdq-dangling")
