"""ONNX Runtime's int8 operators give what their Q/DQ graphs say: what is lost, the pairs lose."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from int8_fusions import OPERATORS, probe

INTEGER = {
    "Conv": "QLinearConv",
    "Conv, depthwise": "QLinearConv",
    "MatMul": "QLinearMatMul",
    "MatMul of activations": "QLinearMatMul",
    "Add": "QLinearAdd",
    "Mul": "QLinearMul",
    "Concat": "QLinearConcat",
    "AveragePool": "QLinearAveragePool",
    "GlobalAveragePool": "QLinearGlobalAveragePool",
    "MaxPool": "MaxPool",
    "Softmax": "QLinearSoftmax",
    "LeakyRelu": "QLinearLeakyRelu",
    "Sigmoid": "QLinearSigmoid",
}
"""What ONNX Runtime makes of each; the others run in float between their pairs."""


@pytest.mark.parametrize("name", OPERATORS)
def test_an_int8_operator_loses_nothing_by_itself(name, tmp_path):
    loss = probe(OPERATORS[name], tmp_path)
    assert loss.fused == ((INTEGER[name],) if name in INTEGER else ())
    # The pairs alone cost this much: less would mean that nothing was quantised.
    assert 25 < loss.as_written < 55
    assert abs(loss.as_written - loss.runtimes["ort"]) < 0.1


def test_openvino_agrees_on_a_convolution(tmp_path):
    pytest.importorskip("openvino")
    loss = probe(OPERATORS["Conv"], tmp_path, ("openvino",))
    assert abs(loss.as_written - loss.runtimes["openvino"]) < 0.1
