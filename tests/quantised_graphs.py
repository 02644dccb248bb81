"""Small quantised graphs, and what a rule finds in them."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.targets.legality import check
from lprc.core.targets.rules import rule_from_table

CONV = """
g (float[1,2,3,3] x) => (float[1,2,3,3] y)
<float s = {0.5}, int8 z = {0}, float[2] ws = {0.25, 0.125}, int8[2] wz = {0, 0},
 int8[2,2,1,1] w = {1, 2, 3, 4}, float[2] b = {0.5, 1.0}>
{
    [q] xq = QuantizeLinear (x, s, z)
    [dq] xd = DequantizeLinear (xq, s, z)
    [wdq] wd = DequantizeLinear <axis = 0> (w, ws, wz)
    [conv] c = Conv (xd, wd, b)
    [relu] y = Relu (c)
}
"""

TENSORRT = {
    "qdq-zero-point": {"allowed": "zero"},
    "qdq-types": {"activations": ["INT8"], "weights": ["INT8", "INT4"]},
    "qdq-scale": {"float16": True},
    "qdq-axis": {"axes": "weights", "blocks": "weights"},
    "qdq-bias": {"allowed": "float"},
    "qdq-dangling": {"pairs": "equal", "activations": "refused"},
    "qdq-opset": {},
}

DIRECT = """
g (float[2] x) => (float[2] y) <float s = {0.5}, int8 z = {0}>
{ [q] i = QuantizeLinear (x, s, z) [dq] y = DequantizeLinear (i, s, z) }
"""

FLOAT_WEIGHT = CONV.replace("int8[2,2,1,1] w", "float[2,2,1,1] w").replace(
    "[wdq] wd = DequantizeLinear <axis = 0> (w,",
    "[wq] wi = QuantizeLinear <axis = 0> (w, ws, wz) [wdq] wd = DequantizeLinear <axis = 0> (wi,",
)

QUANTIZED_BIAS = CONV.replace(
    "float[2] b = {0.5, 1.0}",
    "int32[2] b = {4, 8}, float[2] bs = {0.125, 0.0625}, int32[2] bz = {0, 0}",
).replace(
    "[conv] c = Conv (xd, wd, b)",
    "[bdq] bd = DequantizeLinear <axis = 0> (b, bs, bz) [conv] c = Conv (xd, wd, bd)",
)


def graph(body=CONV, *replacements, opset=21):
    for old, new in replacements:
        assert old in body, old
        body = body.replace(old, new)
    return ir.from_onnx_text(f'<ir_version: 10, opset_import: ["" : {opset}]>\n{body}')


def found(model, name, **parameters):
    """(node, detail) of each violation; the parameters that are not given are TensorRT's."""
    table = {"rule": name, "message": "wrong", "remedy": "mend it"}
    rule = rule_from_table({**table, **TENSORRT[name], **parameters}, "test.toml")
    places = [(each.place, each.message) for each in check(model, [rule])]
    assert all(message.startswith("wrong (") for _, message in places)
    return [(place.split("'")[1], message[7:-1]) for place, message in places]


def details(model, name, **parameters):
    return [detail for _, detail in found(model, name, **parameters)]
