"""TensorRT's rules hold without TensorRT, and its targets can stop at the lowered ONNX."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core import registry
from lprc.core.errors import IllegalForTargetError, UsageError
from lprc.core.targets.legality import check
from lprc.core.targets.target import Target, target

NAMES = ["tensorrt-fp16", "tensorrt-fp32", "tensorrt-int8"]
QUANTISED = """<ir_version: 10, opset_import: ["" : 20]>
g (float[N,2,3,3] x) => (float[N,2,3,3] y)
<float s = {0.5}, int8 z = {0}, float[2] ws = {0.25, 0.00001}, int8[2,2,1,1] w = {1, 2, 3, 4}, float[2] b = {0.5, 1.0}>
{
    [q] xq = QuantizeLinear (x, s, z)
    [dq] xd = DequantizeLinear (xq, s, z)
    [wdq] wd = DequantizeLinear <axis = 0> (w, ws)
    [conv] y = Conv (xd, wd, b)
}
"""


def places(text, name="tensorrt-int8"):
    return [(each.rule, each.place) for each in check(ir.from_onnx_text(text), target(name).rules)]


@pytest.mark.parametrize("name", NAMES)
def test_all_have_the_same_rules(name):
    found = target(name)
    assert target(name.replace("tensorrt", "trt")) is found
    assert found.rules == target("tensorrt-int8").rules
    assert places(QUANTISED, name) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("z = {0}", "z = {1}", [("qdq-zero-point", "node 'q' (QuantizeLinear)"),
                                ("qdq-zero-point", "node 'dq' (DequantizeLinear)")]),
        ("int8 z", "uint8 z", [("qdq-types", "node 'q' (QuantizeLinear)"),
                               ("qdq-types", "node 'dq' (DequantizeLinear)")]),
        ("0.00001", "0.0", [("qdq-scale", "node 'wdq' (DequantizeLinear)")]),
        ("axis = 0", "axis = 1", [("qdq-axis", "node 'wdq' (DequantizeLinear)")]),
        ("[conv] y = Conv (xd, wd, b)",
         "[bdq] c = DequantizeLinear (i, s) [conv] y = Conv (xd, wd, c)",
         [("qdq-bias", "node 'conv' (Conv)")]),
        # A pair that nothing reads is useless, but legal.
        ("Conv (xd,", "Conv (x,", []),
        ('"" : 20', '"" : 12', [("opset-range", "model"), ("qdq-opset", "node 'wdq' (DequantizeLinear)"),
                                ("qdq-opset", "node 'wdq' (DequantizeLinear)")]),
        ("[conv] y = Conv (xd, wd, b)", "[conv] v = Conv (xd, wd, b) [u] y = Det (v)",
         [("refused-operators", "node 'u' (Det)")]),
        ("[dq] xd = DequantizeLinear (xq, s, z)", "[c] xd = Cast <to = 1> (xq)",
         [("qdq-dangling", "node 'q' (QuantizeLinear)")]),
    ],
)  # fmt: skip
def test_what_tensorrt_refuses(old, new, expected):
    text = QUANTISED.replace(old, new).replace("float[2] b", "int32[2] i = {4, 8}, float[2] b")
    assert text != QUANTISED
    assert places(text) == expected


@pytest.fixture
def source(tmp_path):
    onnx.save(onnx.parser.parse_model(QUANTISED), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_the_lowered_onnx_is_the_artefact(source, tmp_path):
    out = tmp_path / "out"
    compiled = compile_model(
        compile_request(source, "trt-fp32", out, passes="eliminate-dead-code", emit="onnx")
    )
    names = sorted(path.name for path in out.iterdir())
    assert names == ["lowered.onnx", "manifest.json", "passes.json"]
    assert (compiled.artifact.model.name, compiled.artifact.backend) == ("lowered.onnx", "ort")
    assert open_artifact(out).runner().outputs == ["y"]


def test_an_illegal_graph_is_refused_without_tensorrt(tmp_path):
    onnx.save(onnx.parser.parse_model(QUANTISED.replace("z = {0}", "z = {3}")), tmp_path / "m.onnx")
    with pytest.raises(IllegalForTargetError) as caught:
        compile_model(
            compile_request(
                tmp_path / "m.onnx",
                "trt-int8",
                tmp_path / "out",
                passes="infer-shapes",
                emit="onnx",
            )
        )
    assert caught.value.message == (
        "node 'q' (QuantizeLinear): TensorRT quantises symmetrically only (zero point 3); "
        "illegal for target 'tensorrt-int8' (and 1 more)"
    )
    assert caught.value.hint == "run insert-qdq{scheme=symmetric} on the float model"


TOML = """
name = "mine"
description = "Mine."
precision = "float32"
runtime = "onnxruntime"
tolerance = 1e-4
pipeline = "eliminate-dead-code"
rules = []
"""


@pytest.mark.parametrize("line", ["", 'emitter = ""\n'])
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "tensorrt"])
def test_a_third_partys_target_without_emitter(source, tmp_path, monkeypatch, line, runtime):
    found = Target.from_toml(line + TOML.replace("onnxruntime", runtime), where="mine.toml")
    assert found.emitter == ""

    class Point:
        name = value = "mine"

        def load(self):
            return found

    monkeypatch.setattr(registry, "entry_points", lambda group: [Point()])
    with pytest.raises(UsageError, match="target 'mine' has no emitter"):
        compile_model(compile_request(source, "mine", tmp_path / "out"))
    assert (
        compile_model(compile_request(source, "mine", tmp_path / "out", emit="onnx")).deltas == []
    )
