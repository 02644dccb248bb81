"""Rules about quantised graphs: for each the legal and the illegal forms, what is said, and where."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from quantised_graphs import (
    CONV,
    DIRECT,
    FLOAT_WEIGHT,
    QUANTIZED_BIAS,
    TENSORRT,
    details,
    found,
    graph,
)

from lprc.core.errors import UsageError
from lprc.core.graph.provenance import set_origins
from lprc.core.targets.legality import check
from lprc.core.targets.rules import rule_from_table


@pytest.mark.parametrize("name", sorted(TENSORRT))
def test_a_legal_graph(name):
    model = graph()
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    assert not found(model, name)


@pytest.mark.parametrize("name", sorted(TENSORRT))
def test_a_float_graph(name):
    assert not found(graph("g (float[2] x) => (float[2] y) { y = Relu (x) }", opset=9), name)


def test_the_place_names_the_source_node():
    model = graph(CONV, ("z = {0}", "z = {3}"))
    set_origins(model.graph[0], ["conv_before"])
    rule = rule_from_table(
        {"rule": "qdq-zero-point", "message": "wrong", "remedy": "mend it", "allowed": "zero"}, "t"
    )
    first = check(model, [rule])[0]
    assert first.place == "node 'q' (QuantizeLinear, from conv_before)"
    assert (first.message, first.remedy) == ("wrong (zero point 3)", "mend it")


def test_inside_a_branch():
    model = graph("""
        g (float[2] x, bool c, float s) => (float[2] y)
        {
            y = If (c) <
                then_branch = t () => (float[2] p) { [q] i = QuantizeLinear (x, s) [dq] p = DequantizeLinear (i, s) },
                else_branch = e () => (float[2] r) { r = Relu (x) }
            >
        }""")
    assert found(model, "qdq-scale") == [
        ("q", "the scale 's' is not constant"),
        ("dq", "the scale 's' is not constant"),
    ]
    assert not found(model, "qdq-dangling")


# zero points


def test_zero_point():
    model = graph(CONV, ("z = {0}", "z = {3}"))
    assert found(model, "qdq-zero-point") == [("q", "zero point 3"), ("dq", "zero point 3")]
    assert not found(model, "qdq-zero-point", allowed="any")


def test_zero_points_of_channels():
    model = graph(CONV, ("wz = {0, 0}", "wz = {-1, 7}"))
    assert found(model, "qdq-zero-point") == [
        ("wdq", "zero point -1 at element 0 of 2, and 1 more")
    ]


def test_a_missing_zero_point_is_zero():
    model = graph(CONV, ("(w, ws, wz)", "(w, ws)"), ("(xq, s, z)", "(xq, s)"))
    assert not found(model, "qdq-zero-point")


def test_zero_point_of_another_type():
    model = graph(
        CONV,
        ("int8[2,2,1,1] w =", "uint8 u = {0}, int8[2,2,1,1] w ="),
        ("(xq, s, z)", "(xq, s, u)"),
    )
    assert found(model, "qdq-zero-point", allowed="any") == [
        ("dq", "the zero point is UINT8, the quantised values INT8")
    ]


def test_zero_point_against_output_dtype():
    model = graph(CONV, ("QuantizeLinear (x, s", "QuantizeLinear <output_dtype = 2> (x, s"))
    assert found(model, "qdq-zero-point") == [("q", "the zero point is INT8, output_dtype UINT8")]


def test_zero_point_that_is_an_input():
    model = graph(CONV, ("3,3] x)", "3,3] x, int8 v)"), ("(xq, s, z)", "(xq, s, v)"))
    assert found(model, "qdq-zero-point", allowed="any") == [
        ("dq", "the zero point 'v' is not constant")
    ]


@pytest.mark.parametrize(
    ("new", "detail"),
    [
        ("(w, ws, z)", ["the zero point has shape [], the scale [2]"]),
        ("(w, s, z1)", []),  # one element is one element
    ],
)
def test_zero_point_of_another_shape(new, detail):
    model = graph(CONV, ("int8 z = {0}", "int8 z = {0}, int8[1] z1 = {0}"), ("(w, ws, wz)", new))
    assert details(model, "qdq-zero-point") == detail


def test_int32_has_no_zero_point_but_zero():
    model = graph(QUANTIZED_BIAS, ("int32[2] bz = {0, 0}", "int32[2] bz = {0, 2}"))
    assert found(model, "qdq-zero-point", allowed="any") == [
        ("bdq", "zero point 2 at element 1 of 2")
    ]


# types


def test_a_missing_zero_point_is_uint8():
    model = graph(CONV, ("(x, s, z)", "(x, s)"), ("(xq, s, z)", "(xq, s)"))
    assert found(model, "qdq-types") == [
        ("q", "an activation of UINT8: without a zero point ONNX means UINT8"),
        ("dq", "an activation of UINT8"),
    ]
    assert not found(model, "qdq-types", activations=["UINT8"])


def test_output_dtype_says_the_type_too():
    model = graph(
        CONV,
        ("QuantizeLinear (x, s, z)", "QuantizeLinear <output_dtype = 3> (x, s)"),
        ("(xq, s, z)", "(xq, s)"),
    )
    assert not found(model, "qdq-types")


def test_types_of_weights():
    model = graph(CONV, ("int8[2,2,1,1] w", "uint8[2,2,1,1] w"), ("(w, ws, wz)", "(w, ws)"))
    assert found(model, "qdq-types") == [("wdq", "a weight of UINT8")]
    assert not found(model, "qdq-types", weights=["UINT8"])


def test_int4_weights_are_not_activations():
    model = graph(CONV, ("(w, ws, wz)", "(w, ws)"))
    model.graph.initializers["w"].const_value = ir.Tensor(
        np.ones((2, 2, 1, 1), ir.DataType.INT4.numpy()), name="w", dtype=ir.DataType.INT4
    )
    assert not found(model, "qdq-types")
    assert details(model, "qdq-types", weights=["INT8"]) == ["a weight of INT4"]


def test_float_weights_behind_both_nodes_are_weights():
    model = graph(FLOAT_WEIGHT, ("int8[2] wz", "uint8[2] wz"))
    assert found(model, "qdq-types") == [("wq", "a weight of UINT8"), ("wdq", "a weight of UINT8")]


def test_the_type_behind_operators_that_carry_it():
    model = graph("""
        g (float[2,2] x) => (float[4] y) <float s = {0.5}, uint8 z = {0}, int64[1] n = {-1}>
        {
            [q] a = QuantizeLinear (x, s, z)
            b = Reshape (a, n)
            [dq] y = DequantizeLinear (b, s)
        }""")
    assert found(model, "qdq-types") == [
        ("q", "an activation of UINT8"),
        ("dq", "an activation of UINT8"),
    ]
    assert not found(model, "qdq-dangling")


def test_a_bias_is_another_rules_business():
    assert not found(graph(QUANTIZED_BIAS), "qdq-types")


def test_an_int32_weight_is_no_bias():
    model = graph(QUANTIZED_BIAS, ("Conv (xd, wd, bd)", "Conv (xd, wd, bd) o = Relu (bd)"))
    assert details(model, "qdq-types") == ["a weight of INT32"]


def test_unknown_element_type():
    with pytest.raises(UsageError, match=r"weights\.0: unknown element type 'int8'"):
        found(graph(), "qdq-types", weights=["int8"])


# scales


@pytest.mark.parametrize(
    ("scale", "detail"),
    [
        ("0.0", "scale 0, which is not positive"),
        ("-0.5", "scale -0.5, which is not positive"),
        ("1e-39", "scale 1e-39, subnormal as FLOAT"),
    ],
)
def test_scale(scale, detail):
    model = graph(CONV, ("s = {0.5}", f"s = {{{scale}}}"))
    assert found(model, "qdq-scale", float16=False) == [("q", detail), ("dq", detail)]


@pytest.mark.parametrize(
    ("scale", "detail"),
    [
        (5e-5, "scale 5e-05, subnormal as FLOAT16"),
        (1e-9, "scale 1e-09, 0 as FLOAT16"),
        (1e6, "scale 1e+06, infinite as FLOAT16"),
    ],
)
def test_scale_as_float16(scale, detail):
    model = graph(CONV, ("s = {0.5}", f"s = {{{scale}}}"))
    assert found(model, "qdq-scale", float16=True) == [("q", detail), ("dq", detail)]
    assert not found(model, "qdq-scale", float16=False)


@pytest.mark.parametrize(
    ("scale", "detail"),
    [
        (6.2e-5, []),  # the smallest normal float16 is 6.1e-5
        (5e-5, ["scale 5.00083e-05, subnormal as FLOAT16"]),
        (1e-9, ["scale 0, which is not positive"]),
    ],
)
def test_a_float16_scale_is_judged_as_such(scale, detail):
    model = graph(
        "g (int8[2] i) => (float16[2] y) <float s = {1.0}> { [dq] y = DequantizeLinear (i, s) }"
    )
    model.graph.initializers["s"].const_value = ir.tensor(np.float16(scale), name="s")
    assert details(model, "qdq-scale", float16=False) == detail


def test_scale_of_one_channel():
    model = graph(CONV, ("ws = {0.25, 0.125}", "ws = {0.25, 0.0}"))
    assert found(model, "qdq-scale") == [
        ("wdq", "scale 0 at element 1 of 2, which is not positive")
    ]


@pytest.mark.parametrize("scale", ["nan", "inf"])
def test_scale_that_is_no_number(scale):
    model = graph()
    model.graph.initializers["s"].const_value = ir.tensor(np.float32(scale), name="s")
    assert details(model, "qdq-scale") == [f"scale {scale}, which is not finite"] * 2


def test_scale_that_is_no_constant():
    model = graph(CONV, ("3,3] x)", "3,3] x, float v)"), ("(xq, s, z)", "(xq, v, z)"))
    assert found(model, "qdq-scale") == [("dq", "the scale 'v' is not constant")]


# axes


LINEAR = """
g (float[{x}] x) => (float y) <int8[{w}] w, float[{n}] s = {{{values}}}>
{{ [dq] d = DequantizeLinear <axis = {axis}> (w, s) [op] y = {op} }}
"""


def linear(op, w, axis, *, x="4,3,5,5", scales=None):
    shape = [int(size) for size in w.split(",")]
    count = shape[axis % len(shape)] if scales is None else scales
    values = ", ".join(["0.5"] * count)
    text = LINEAR.format(op=op, x=x, w=w, axis=axis, n=count, values=values)
    model = graph(
        text.replace(f"int8[{w}] w,", f"int8[{w}] w = {{{', '.join('1' * int(np.prod(shape)))}}},")
    )
    return details(model, "qdq-axis")


@pytest.mark.parametrize(
    ("op", "w", "axis", "wanted"),
    [
        ("Conv (x, d)", "2,3,1,1", 0, None),
        ("Conv (x, d)", "2,3,1,1", -4, None),
        ("Conv (x, d)", "2,3,1,1", 1, "axis 1, not 0, of the weight of node 'op' (Conv)"),
        ("ConvTranspose (x, d)", "3,2,1,1", 1, None),
        ("ConvTranspose (x, d)", "3,2,1,1", 0, "axis 0, not 1, of the weight of node 'op' (ConvTranspose)"),
        ("Gemm (x, d)", "3,2", 1, None),
        ("Gemm (x, d)", "3,2", 0, "axis 0, not 1, of the weight of node 'op' (Gemm)"),
        ("Gemm <transB = 1> (x, d)", "2,3", 0, None),
        ("Gemm <transB = 1> (x, d)", "2,3", 1, "axis 1, not 0, of the weight of node 'op' (Gemm)"),
        ("Gemm (d, x)", "2,3", 0, None),
        ("MatMul (x, d)", "3,2", 1, None),
        ("MatMul (x, d)", "4,3,2", -1, None),
        ("MatMul (x, d)", "3,2", 0, "axis 0, not 1, of the weight of node 'op' (MatMul)"),
        ("MatMul (d, x)", "2,3", 0, None),
        ("Mul (x, d)", "2,3,1,1", 0, "read by node 'op' (Mul), of which it is no weight"),
        ("Conv (d, x)", "2,3,1,1", 0, "read by node 'op' (Conv), of which it is no weight"),
    ],
)  # fmt: skip
def test_axis_of_a_weight(op, w, axis, wanted):
    assert linear(op, w, axis) == ([] if wanted is None else [wanted])


@pytest.mark.parametrize(("axis", "legal"), [(0, True), (1, False)])
def test_axis_through_transpose(axis, legal):
    op = "MatMul (x, t)"
    body = LINEAR.replace("[op]", "t = Transpose <perm = [1, 0]> (d) [op]")
    count = (2, 3)[axis]
    text = body.format(
        op=op, x="4,3", w="2,3", axis=axis, n=count, values=", ".join(["0.5"] * count)
    )
    model = graph(text.replace("int8[2,3] w,", "int8[2,3] w = {1, 1, 1, 1, 1, 1},"))
    expected = [] if legal else ["axis 0, not 1, of the weight of node 'op' (MatMul)"]
    assert details(model, "qdq-axis") == expected


def test_count_of_scales():
    assert linear("Conv (x, d)", "2,3,1,1", 0, scales=3) == ["3 scales, but axis 0 has 2 elements"]


def test_axis_out_of_range():
    assert linear("MatMul (x, d)", "3,2", 2, scales=2) == ["axis 2 of 2 dimensions"]


def test_several_scales_on_an_activation():
    model = graph(
        CONV,
        ("QuantizeLinear (x, s, z)", "QuantizeLinear <axis = 1> (x, ws, wz)"),
        ("DequantizeLinear (xq, s, z)", "DequantizeLinear <axis = 1> (xq, ws, wz)"),
    )
    detail = "a scale for each element of an axis on an activation"
    assert found(model, "qdq-axis") == [("q", detail), ("dq", detail)]
    assert not found(model, "qdq-axis", axes="any")


def test_no_several_scales_at_all():
    detail = "a scale for each element of an axis, 0"
    assert found(graph(), "qdq-axis", axes="none") == [("wdq", detail)]


@pytest.mark.parametrize("axis", [0, 1])
def test_axis_of_a_float_weight_behind_both_nodes(axis):
    model = graph(FLOAT_WEIGHT, ("axis = 0", f"axis = {axis}"))
    nodes = [] if axis == 0 else ["wq", "wdq"]
    assert [node for node, _ in found(model, "qdq-axis")] == nodes


def test_scales_of_a_bias_are_no_weights():
    assert not found(graph(QUANTIZED_BIAS), "qdq-axis")


BLOCKS = """
g (float[4,4] x) => (float[4,2] y) <int8[4,2] w = {1, 2, 3, 4, 5, 6, 7, 8}, float[2,2] s = {1.0, 1.0, 1.0, 1.0}>
{ [dq] d = DequantizeLinear <axis = 0, block_size = 2> (w, s) [op] y = MatMul (x, d) }
"""


def test_blocks():
    model = graph(BLOCKS)
    assert not found(model, "qdq-axis")
    assert found(model, "qdq-axis", blocks="none") == [("dq", "blocks of axis 0")]


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("block_size = 2", "block_size = 4", "a scale of shape [2, 2], not [1, 2], for blocks of 4"),
        (", block_size = 2", "", "a scale of shape [2, 2] with block_size 0"),
        ("block_size = 2", "block_size = -2", "a scale of shape [2, 2] with block_size -2"),
        ("MatMul (x, d)", "Gemm <transB = 1> (x, d)", "axis 0, along 0, of the weight of node 'op' (Gemm)"),
    ],
)  # fmt: skip
def test_wrong_blocks(old, new, detail):
    assert details(graph(BLOCKS, (old, new)), "qdq-axis") == [detail]


def test_blocks_of_an_activation():
    model = graph(
        BLOCKS, ("<int8[4,2] w = {1, 2, 3, 4, 5, 6, 7, 8}, ", "<"), ("x)", "x, int8[4,2] w)")
    )
    assert details(model, "qdq-axis") == ["blocks on an activation"]


def test_blocks_need_opset_21():
    detail = "block_size needs opset 21, the model has 19"
    assert details(graph(BLOCKS, opset=19), "qdq-axis") == [detail]
    assert details(graph(BLOCKS, opset=19), "qdq-opset") == [detail]


# operator sets


@pytest.mark.parametrize(
    ("body", "opset", "expected"),
    [
        (DIRECT, 10, []),
        (DIRECT, 9, ["QuantizeLinear needs opset 10, the model has 9",
                     "DequantizeLinear needs opset 10, the model has 9"]),
        (CONV, 13, []),
        (CONV, 12, ["a scale for each element of an axis needs opset 13, the model has 12",
                    "axis needs opset 13, the model has 12"]),
        (DIRECT.replace("int8 z", "int16 z"), 21, []),
        (DIRECT.replace("int8 z", "uint16 z"), 20,
         ["UINT16 needs opset 21, the model has 20"] * 2),
        (DIRECT.replace("Linear (x, s, z)", "Linear <output_dtype = 3> (x, s)"), 20,
         ["output_dtype needs opset 21, the model has 20"]),
        (DIRECT.replace("DequantizeLinear (", "DequantizeLinear <output_dtype = 1> ("), 21,
         ["output_dtype needs opset 23, the model has 21"]),
        (DIRECT.replace("Linear (x, s, z)", "Linear <precision = 1> (x, s, z)"), 21,
         ["precision needs opset 23, the model has 21"]),
    ],
)  # fmt: skip
def test_opset(body, opset, expected):
    assert details(graph(body, opset=opset), "qdq-opset") == expected


@pytest.mark.parametrize(
    ("dtype", "since"), [("INT4", 21), ("FLOAT8E4M3FN", 19), ("FLOAT4E2M1", 23), ("UINT2", 25)]
)
def test_opset_of_a_type(dtype, since):
    kind = ir.DataType[dtype]
    for opset in (since, since - 1):
        model = graph(CONV, ("(w, ws, wz)", "(w, ws)"), opset=opset)
        array = np.ones((2, 2, 1, 1), kind.numpy())
        model.graph.initializers["w"].const_value = ir.Tensor(array, name="w", dtype=kind)
        expected = [] if opset == since else [f"{dtype} needs opset {since}, the model has {opset}"]
        assert details(model, "qdq-opset") == expected


def test_opset_of_a_float16_scale():
    model = graph(DIRECT, opset=18)
    model.graph.initializers["s"].const_value = ir.tensor(np.float16(0.5), name="s")
    assert (
        details(model, "qdq-opset") == ["a scale of FLOAT16 needs opset 19, the model has 18"] * 2
    )


# parameters


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("qdq-zero-point", {"allowed": ["zero"]}, "allowed: must be 'zero' or 'any'"),
        ("qdq-bias", {"allowed": "int8"}, "allowed: must be 'float', 'int32' or 'any'"),
        ("qdq-scale", {"float16": 1}, "float16: must be true or false"),
        ("qdq-types", {"activations": "INT8"}, "activations: must be a list"),
        ("qdq-opset", {"minimum": 13}, r"unknown key 'minimum' \(known: rule, message, remedy\)"),
    ],
)
def test_strict_parameters(name, parameters, message):
    with pytest.raises(UsageError, match=message):
        found(graph(), name, **parameters)


def test_defaults():
    texts = {"message": "wrong", "remedy": "mend it"}
    parameters = {
        name: dict(rule_from_table({"rule": name, **texts, **given}, "t").parameters)
        for name, given in {
            "qdq-scale": {},
            "qdq-axis": {"axes": "any"},
            "qdq-dangling": {},
        }.items()
    }
    assert parameters == {
        "qdq-scale": {"float16": False},
        "qdq-axis": {"axes": "any", "blocks": "none"},
        "qdq-dangling": {"pairs": "equal", "activations": "allowed"},
    }
    with pytest.raises(UsageError, match="key 'axes' is missing"):
        rule_from_table({"rule": "qdq-axis", **texts}, "t")
