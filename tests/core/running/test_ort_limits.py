"""Which of ONNX Runtime's optimisers are left out; that they crash is in test_float16_runs."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from lprc.compiler.runners.ort import OrtRunner
from lprc.core.running import ort_limits
from lprc.core.running.numerics import RunError, Session
from lprc.core.running.ort_limits import disabled_optimizers, rounded
from lprc.core.running.runner import OpenJob

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float16[1,3,8,8] x) => (float16[1,8,8,8] y) <float16[8,3,3,3] w = {ZEROS}> {
  c = Conv<pads=[1,1,1,1]>(x, w)
  r = Relu(c)
  y = Transpose<perm=[0,3,1,2]>(r)
}"""


def model() -> onnx.ModelProto:
    return onnx.parser.parse_model(TEXT.replace("ZEROS", ",".join(["0"] * 216)))


def test_float16_convolutions_are_not_blocked(tmp_path, monkeypatch):
    monkeypatch.setattr(ort_limits, "_truncates", lambda: False)
    path = tmp_path / "m.onnx"
    onnx.save(model(), path)
    assert (
        disabled_optimizers(path) == disabled_optimizers(path.read_bytes()) == ["NchwcTransformer"]
    )


def test_float32_graphs_keep_every_optimiser():
    plain = onnx.parser.parse_model(
        TEXT.replace("float16", "float").replace("ZEROS", ",".join(["0"] * 216))
    )
    assert disabled_optimizers(plain.SerializeToString()) == []


# 14336 is the bits of 0.5, as onnx.parser wants them.
HALF_SCALE = """<ir_version: 9, opset_import: ["" : 20]>
g (float16[1,64] x) => (float16[1,64] y) <float16 scale = {14336}, int8 zero = {0}> {
  q = QuantizeLinear(x, scale, zero)
  y = DequantizeLinear(q, scale, zero)
}"""


def test_a_truncating_runtime_is_given_casts(monkeypatch):
    """As ONNX Runtime before 1.30; a later one shows that the Casts change nothing."""
    monkeypatch.setattr(ort_limits, "_truncates", lambda: True)
    plain = onnx.parser.parse_model(HALF_SCALE).SerializeToString()
    cast = rounded(plain)
    operators = [node.op_type for node in onnx.ModelProto.FromString(cast).graph.node]
    assert operators == ["Cast", "Cast", "QuantizeLinear", "DequantizeLinear"]
    assert "QDQPropagationTransformer" in disabled_optimizers(plain)
    x = np.linspace(-70, 70, 64, dtype=np.float16)[None]
    session = ort.InferenceSession(cast, providers=["CPUExecutionProvider"])
    expected = np.clip(np.rint(x.astype(np.float32) / 0.5), -128, 127) * 0.5
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], expected.astype(np.float16))


def test_this_runtime_rounds_with_or_without_help():
    plain = onnx.parser.parse_model(HALF_SCALE).SerializeToString()
    session = ort.InferenceSession(rounded(plain), providers=["CPUExecutionProvider"])
    x = np.full((1, 64), 0.4375, np.float16)
    assert (session.run(None, {"x": x})[0] == 0.5).all()


def test_others_are_left_alone(monkeypatch):
    monkeypatch.setattr(ort_limits, "_truncates", lambda: True)
    content = model().SerializeToString()
    assert rounded(content) is content


def test_what_is_no_model_is_left_to_the_runtime_to_refuse(monkeypatch):
    monkeypatch.setattr(ort_limits, "_truncates", lambda: True)
    with pytest.raises(RunError, match="can't load the graph"):
        Session(b"no model")


def test_activations_in_front_of_dequantised_weights_stay_float(tmp_path):
    """By itself ONNX Runtime's MatMulNBits quantises them: two parts in a hundred here."""
    text = """<ir_version: 9, opset_import: ["" : 21]>
    g (float[4,64] x) => (float[4,64] y) {
        w = DequantizeLinear<axis = 1>(q, s)
        y = MatMul(x, w)
    }"""
    generator = np.random.default_rng(0)
    proto = onnx.parser.parse_model(text)
    weights = {
        "q": generator.integers(-127, 128, (64, 64), np.int8),
        "s": generator.uniform(0.01, 0.02, 64).astype(np.float32),
    }
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(w, n) for n, w in weights.items())
    onnx.save(proto, tmp_path / "m.onnx")
    x = {"x": generator.standard_normal((4, 64)).astype(np.float32)}
    expected = Session(tmp_path / "m.onnx").run(x)["y"]
    optimized = Session(tmp_path / "m.onnx", optimize=True).run(x)["y"]
    deployed = OrtRunner(OpenJob(tmp_path / "m.onnx")).run(x)["y"]
    for measured in optimized, deployed:
        assert np.abs(measured - expected).max() < 1e-5 * np.abs(expected).max()
