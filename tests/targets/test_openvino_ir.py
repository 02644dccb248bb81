"""OpenVINO IR: what is written, and what happens where OpenVINO refuses."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import onnx
import pytest
from vendors import put_in_front

from lprc.core.onnx_io.model_io import load
from lprc.core.process.worker import WorkerError
from lprc.core.running.runner import OpenJob
from lprc.core.targets.emitter import EmitJob, TargetOptions
from lprc.core.targets.runtimes import runtime
from lprc.targets.openvino_ir import emit_ir, emit_ir_with_float16_weights

pytest.importorskip("openvino")

GOOD = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,64] x) => (float[N,64] y) { a = MatMul(x, w) [last] y = Relu(a) }"""
REFUSED = """<ir_version: 9, opset_import: ["" : 18, "com.microsoft" : 1]>
g (float[N,64] x) => (float[N,64] y) { y = com.microsoft.NoSuchOperator(x) }"""


def written(folder, text=GOOD):
    proto = onnx.parser.parse_model(text)
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    folder.mkdir()
    onnx.save(proto, folder / "lowered.onnx")
    return folder / "lowered.onnx"


def job(lowered):
    return EmitJob(load(lowered), lowered, lowered.parent, "mine", "m.onnx", TargetOptions())


@pytest.fixture
def lowered(tmp_path):
    return written(tmp_path / "a")


def test_the_same_bytes_from_anywhere(lowered, tmp_path):
    first = emit_ir(job(lowered)).files
    other = written(tmp_path / "b")
    second = emit_ir(job(other)).files
    assert [path.name for path in first] == ["model.xml", "model.bin"]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert str(tmp_path).encode() not in one.read_bytes()


def test_nothing_but_the_record_of_the_conversion_is_dropped(lowered):
    xml, _ = emit_ir(job(lowered)).files
    net = ElementTree.parse(xml).getroot()
    assert [child.tag for child in net] == ["layers", "edges"]
    assert [layer.get("type") for layer in net.iter("layer")] == [
        "Parameter", "Const", "MatMul", "ReLU", "Result",
    ]  # fmt: skip


def test_float16_halves_the_weights_and_runs(lowered, tmp_path):
    _, full = emit_ir(job(lowered)).files
    size = full.stat().st_size
    x = np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32)
    expected = runtime("ort").open(OpenJob(lowered, threads=1)).run({"x": x})["y"]
    xml, half = emit_ir_with_float16_weights(job(lowered)).files
    found = runtime("openvino").open(OpenJob(xml, threads=1)).run({"x": x})["y"]
    assert size == 64 * 64 * 4
    assert half.stat().st_size < 0.6 * size
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 5e-3 * np.abs(expected).max()


def test_a_graph_that_openvino_refuses(tmp_path):
    refused = written(tmp_path / "a", REFUSED)
    with pytest.raises(
        WorkerError, match=r"m\.onnx: OpenVINO can't convert node .* \(NoSuchOperator\): "
    ) as caught:
        emit_ir(job(refused))
    assert "NoSuchOperator" in caught.value.message
    assert "\n" not in caught.value.message


def test_the_node_that_openvino_refuses_is_named(tmp_path):
    """OpenVINO's own message names none: `Unsupported input type dynamic`, say."""
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[N,64] x) => (float[N,64] y) {
        [before] a = MatMul(x, w)
        [guilty] b = Hardmax<axis = 7>(a)
        [behind] y = Relu(b)
        [aside] c = Neg(a)
    }"""
    with pytest.raises(WorkerError, match=r"can't convert node 'guilty' \(Hardmax\): ") as caught:
        emit_ir(job(written(tmp_path / "a", text)))
    assert "ort-fp32" in caught.value.hint


WRITES_NOTHING = """
class Model:
    def get_ordered_ops(self):
        return []

def convert_model(path):
    return Model()

def save_model(model, path, compress_to_fp16):
    pass
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise SystemExit(3)", "OpenVINO failed: no message"),
        (
            "import sys; sys.stderr.buffer.write(b'Error: \\xff'); sys.exit(1)",
            "OpenVINO failed: Error: \ufffd",
        ),
        ("def convert_model(path): raise ValueError", "OpenVINO can't convert .*: ValueError"),
        (WRITES_NOTHING, "OpenVINO wrote no IR"),
    ],
)
def test_odd_ends_of_the_conversion(lowered, tmp_path, monkeypatch, code, message):
    put_in_front(monkeypatch, tmp_path / "vendor", openvino=code)
    with pytest.raises(WorkerError, match=f"m.onnx: {message}"):
        emit_ir(job(lowered))


def test_relative_paths(lowered, monkeypatch):
    monkeypatch.chdir(lowered.parents[1])
    files = emit_ir(job(lowered.relative_to(lowered.parents[1]))).files
    assert files == [lowered.with_name("model.xml"), lowered.with_name("model.bin")]
