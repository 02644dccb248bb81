"""The pass, on graphs written as text."""

from __future__ import annotations

import onnx_ir as ir
import pytest

import lprc

HEAD = '<ir_version: 9, opset_import: ["" : 20]> g (float[2] x) => (float[2] y) '


@pytest.mark.parametrize(
    ("text", "passes", "left"),
    [
        ("{ a = Relu(x) y = Relu(a) }", "merge-relu", ["Relu"]),
        ("{ a = Sigmoid(x) y = Relu(a) }", "merge-relu", ["Sigmoid"]),
        ("{ a = Sigmoid(x) y = Relu(a) }", "merge-relu{sigmoid=false}", ["Sigmoid", "Relu"]),
        ("{ a = Tanh(x) y = Relu(a) }", "merge-relu", ["Tanh", "Relu"]),
    ],
)
def test_what_is_left(text, passes, left):
    model, _ = lprc.optimize(ir.from_onnx_text(HEAD + text), passes)
    assert [node.op_type for node in model.graph] == left
