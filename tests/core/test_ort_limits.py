"""Which of ONNX Runtime's optimisers are left out; that they crash is in test_float16_runs."""

from __future__ import annotations

import onnx

from lprc.core.ort_limits import disabled_optimizers

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float16[1,3,8,8] x) => (float16[1,8,8,8] y) <float16[8,3,3,3] w = {ZEROS}> {
  c = Conv<pads=[1,1,1,1]>(x, w)
  r = Relu(c)
  y = Transpose<perm=[0,3,1,2]>(r)
}"""


def model() -> onnx.ModelProto:
    return onnx.parser.parse_model(TEXT.replace("ZEROS", ",".join(["0"] * 216)))


def test_float16_convolutions_are_not_blocked(tmp_path):
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
