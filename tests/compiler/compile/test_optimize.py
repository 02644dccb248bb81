"""A pipeline runs under the instruments that were asked for, and its file appears whole or not."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.compiler.compile.optimize import optimize_file
from lprc.compiler.compile.settings import Observation
from lprc.core.errors import InvalidModelError, LprcError, OutputError, UsageError

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,2] x) => (float[N,2] y) { a = Identity(x) b = Relu(a) y = Identity(b) }"""
PIPELINE = "infer-shapes,eliminate-identity,eliminate-dead-code"


@pytest.fixture
def source(tmp_path):
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.mark.parametrize(("verify", "compared"), [("off", 0), ("final", 1), ("each", 1)])
def test_verify(source, tmp_path, verify, compared):
    done = optimize_file(source, PIPELINE, tmp_path / "o.onnx", verify=verify)
    assert (done.verify, done.warnings) == (verify, [])
    assert bool(done.deltas) == bool(compared)
    assert all(delta.max_abs == 0 for deltas in done.deltas.values() for delta in deltas)
    assert [node.op_type for node in onnx.load(tmp_path / "o.onnx").graph.node] == ["Relu"]


def test_dumps_and_progress(source, tmp_path):
    calls = []
    observation = Observation(dump_dir=tmp_path / "dump", progress=lambda *call: calls.append(call))
    done = optimize_file(source, PIPELINE, tmp_path / "o.onnx", observation=observation)
    assert calls[-1] == (3, 3)
    changed = sum(record.changed for record in done.records)
    assert changed
    models = [path for path in (tmp_path / "dump").iterdir() if path.suffix == ".onnx"]
    assert len(models) >= changed
    for path in models:
        onnx.checker.check_model(path)


def test_the_source_may_be_the_output(source):
    optimize_file(source, PIPELINE, source)
    assert [node.op_type for node in onnx.load(source).graph.node] == ["Relu"]


def test_random_inputs_come_from_the_seed(source, tmp_path):
    magnitudes = [
        optimize_file(source, PIPELINE, tmp_path / "o.onnx", seed=seed).deltas for seed in (0, 0, 1)
    ]
    assert magnitudes[0] == magnitudes[1] != magnitudes[2]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"pipeline_text": "fold-bm"}, UsageError, "did you mean 'fold-bn'"),
        ({"source": "none.onnx"}, InvalidModelError, "no such file"),
        ({"out": "no/folder/o.onnx"}, OutputError, "o.onnx"),
        ({"out": "folder"}, OutputError, "is a folder, not a file"),
    ],
)
def test_nothing_is_written_where_it_fails(source, tmp_path, change, error, message):
    (tmp_path / "folder").mkdir()
    given = {"source": source, "pipeline_text": PIPELINE, "out": tmp_path / "o.onnx"}
    for key, value in change.items():
        given[key] = value if key == "pipeline_text" else tmp_path / value
    with pytest.raises(error, match=message) as caught:
        optimize_file(**given)
    assert isinstance(caught.value, LprcError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "m.onnx"]


@pytest.mark.parametrize(("scale", "warned"), [(1.0, False), (50.0, True)])
def test_int8_far_from_the_source_is_a_warning(tmp_path, scale, warned):
    """Calibrated with inputs that are a fiftieth of the real ones: nearly all of them saturate."""
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[1,64] x) => (float[1,8] y) { [first] y = MatMul(x, w) }"""
    generator = np.random.default_rng(0)
    proto = onnx.parser.parse_model(text)
    weight = generator.standard_normal((64, 8)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    onnx.save(proto, tmp_path / "m.onnx")
    samples = [{"x": generator.standard_normal((1, 64)).astype(np.float32)} for _ in range(8)]
    real = [{"x": samples[0]["x"] * np.float32(scale)}]
    done = optimize_file(
        tmp_path / "m.onnx",
        "calibrate,insert-qdq{operators=MatMul}",
        tmp_path / "o.onnx",
        calibration=samples,
        inputs=real,
    )
    beginning = "quantised far from the source: output 'y' has"
    assert [warning.startswith(beginning) for warning in done.warnings] == [True] * warned
