"""A model that comes quantised is recognised in each of its forms."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from lprc.core.quantization.recognise import quantized_form

DOMAINS = ', "com.microsoft" : 1, "acme" : 1, "trt" : 1, "qonnx.custom_op.general" : 1, "local" : 1'


def form(body):
    return quantized_form(
        ir.from_onnx_text(f'<ir_version: 10, opset_import: ["" : 21{DOMAINS}]>\n{body}')
    )


PARAMETERS = "float s = {0.5}, int8 z = {0}, uint8 u = {0}, int8[2,2] w = {1, 2, 3, 4}, float[2,2] f = {1, 2, 3, 4}"


def of(nodes):
    return form(f"g (float[2,2] x) => (float[2,2] y) <{PARAMETERS}> {{ {nodes} }}")


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("y = Relu (x)", None),
        # Rounding by hand is no quantisation that anyone could pass through.
        ("a = Div (x, s) b = Round (a) y = Mul (b, s)", None),
        ("[q] a = QuantizeLinear (x, s) [dq] y = DequantizeLinear (a, s)",
         "QDQ (2 nodes, first node 'q' (QuantizeLinear))"),
        # The weights of a model with Q/DQ on activations are part of it.
        ("[wdq] d = DequantizeLinear (w, s) [q] a = QuantizeLinear (x, s, z) [dq] b = DequantizeLinear (a, s) y = MatMul (b, d)",
         "QDQ (3 nodes, first node 'wdq' (DequantizeLinear))"),
        ("[wdq] d = DequantizeLinear (w, s) y = MatMul (x, d)",
         "weight-only (1 node, first node 'wdq' (DequantizeLinear))"),
        ("[wq] i = QuantizeLinear (f, s) [wdq] d = DequantizeLinear (i, s) y = MatMul (x, d)",
         "weight-only (2 nodes, first node 'wq' (QuantizeLinear))"),
        ("t = Transpose (w) [wdq] d = DequantizeLinear (t, s) y = MatMul (x, d)",
         "weight-only (1 node, first node 'wdq' (DequantizeLinear))"),
        ("[nbits] y = com.microsoft.MatMulNBits <K = 2, N = 2, bits = 4, block_size = 16> (x, u, s)",
         "weight-only (1 node, first node 'nbits' (MatMulNBits))"),
        ("[dyn] a, b, c = DynamicQuantizeLinear (x) [mm] d = MatMulInteger (a, w, c) e = Cast <to = 1> (d) y = Mul (e, b)",
         "integer operators (2 nodes, first node 'dyn' (DynamicQuantizeLinear))"),
        ("[qc] y = QLinearConv (x, s, z, w, s, z, s, z)",
         "integer operators (1 node, first node 'qc' (QLinearConv))"),
        ("[ci] y = ConvInteger (x, w)", "integer operators (1 node, first node 'ci' (ConvInteger))"),
        ("[qm] y = QLinearMatMul (x, s, z, w, s, z, s, z)",
         "integer operators (1 node, first node 'qm' (QLinearMatMul))"),
        *((f"[n] y = com.microsoft.{op} (x, s, z)",
           f"integer operators (1 node, first node 'n' ({op}))")
          for op in ("QLinearAdd", "QLinearConcat", "QGemm", "QAttention", "QOrderedMatMul",
                     "DynamicQuantizeMatMul", "MatMulIntegerToFloat")),
        ("[q] y = com.microsoft.QuantizeLinear (x, s, z)",
         "QDQ (1 node, first node 'q' (QuantizeLinear))"),
        ("[q] y = trt.TRT_FP8QuantizeLinear (x, s)",
         "QDQ (1 node, first node 'q' (TRT_FP8QuantizeLinear))"),
        *((f"[f] y = {domain}.{op} (x, s)",
           f"fake quantisation (1 node, first node 'f' ({op}))")
          for domain, op in (("acme", "FakeQuantize"), ("acme", "fake_quantize_per_tensor_affine"),
                             ("acme", "FakeQuantizeLearnable"), ("qonnx.custom_op.general", "Quant"),
                             ("qonnx.custom_op.general", "BipolarQuant"))),
        ("y = acme.Quant (x)", None),
        ("y = acme.QueryGemm (x)", None),
        # Forms together, each named.
        ("[f] a = acme.FakeQuantize (x) [q] b = QuantizeLinear (a, s) [dq] y = DequantizeLinear (b, s)",
         "fake quantisation (1 node, first node 'f' (FakeQuantize)), QDQ (2 nodes, first node 'q' (QuantizeLinear))"),
    ],
)  # fmt: skip
def test_form(nodes, expected):
    assert of(nodes) == expected


def test_a_quantised_input_is_no_weight():
    text = "g (int8[2] x) => (float[2] y) <float s = {0.5}> { [dq] y = DequantizeLinear (x, s) }"
    assert form(text) == "QDQ (1 node, first node 'dq' (DequantizeLinear))"


def test_inside_a_branch():
    text = """
        g (float[2] x, bool c) => (float[2] y) <float s = {0.5}>
        {
            y = If (c) <
                then_branch = t () => (float[2] p) { p = Relu (x) },
                else_branch = e () => (float[2] r) { [q] a = QuantizeLinear (x, s) [dq] r = DequantizeLinear (a, s) }
            >
        }"""
    assert form(text) == "QDQ (2 nodes, first node 'q' (QuantizeLinear))"


def test_inside_a_function():
    text = """
        g (float[2] x) => (float[2] y) { y = local.quantised (x) }
        <opset_import: ["" : 21], domain: "local">
        quantised (a) => (b)
        {
            s = Constant <value_float = 0.5> ()
            r = Resize <mode: string = @mode> (a)
            [q] i = QuantizeLinear (r, s)
            [dq] b = DequantizeLinear (i, s)
        }"""
    assert form(text) == "QDQ (2 nodes, first node 'q' (QuantizeLinear))"


def test_four_bits():
    text = "g (float[2] x) => (float[2] y) <float s = {0.5}, int8[2] w = {1, 2}> { [dq] d = DequantizeLinear (w, s) y = Add (x, d) }"
    model = ir.from_onnx_text(f'<ir_version: 10, opset_import: ["" : 21]>\n{text}')
    model.graph.initializers["w"].const_value = ir.Tensor(
        np.ones(2, ir.DataType.INT4.numpy()), name="w", dtype=ir.DataType.INT4
    )
    assert quantized_form(model) == "weight-only (1 node, first node 'dq' (DequantizeLinear))"
