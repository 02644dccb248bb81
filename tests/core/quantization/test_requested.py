"""Which operators a graph asks to be computed on integers."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from lprc.core.quantization.requested import requested

TEXT = """<ir_version: 10, opset_import: ["" : 21]>
g (float[1,4,8,8] x, float[4,4] t) => (float[1,4,8,8] y)
<float s = {0.5}, int8 z = {0}, int8[4,4,1,1] w = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16},
 float[4] b = {1,2,3,4}, float[4,4,1,1] f = {1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}>
{
    xq = QuantizeLinear (x, s, z)
    xd = DequantizeLinear (xq, s, z)
    wd = DequantizeLinear (w, s)
    BODY
}"""


def found(body):
    model = ir.from_onnx_text(TEXT.replace("BODY", body))
    return {each.node.name: each.quantized for each in requested(model)}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[c] y = Conv (xd, wd, b)", {"c": True}),
        ("[c] y = Conv (xd, f, b)", {"c": False}),
        ("[c] y = Conv (x, wd, b)", {"c": False}),
        ("[c] y = Conv (x, f)", {"c": False}),
        ("[p] y = MaxPool <kernel_shape = [1, 1]> (xd)", {"p": True}),
        ("[p] y = MaxPool <kernel_shape = [1, 1]> (x)", {"p": False}),
        ("[m] y = MatMul (xd, xd)", {"m": True}),
        ("[m] y = MatMul (xd, x)", {"m": False}),
        ("[c] y = ConvTranspose (xd, wd)", {"c": True}),
        # What only moves values does not take them out of int8.
        ("v = Transpose (xd) [c] y = Conv (v, wd)", {"c": True}),
        ("v = Relu (xd) [c] y = Conv (v, wd)", {"c": False}),
        ("[c] v = Conv (xd, wd) [d] y = Conv (v, wd)", {"c": True, "d": False}),
        ("[r] y = Relu (xd)", {}),
    ],
)
def test_requested(body, expected):
    assert found(body) == expected
