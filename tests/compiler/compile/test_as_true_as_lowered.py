"""An int8 artefact that rounds elsewhere than its lowered graph is judged by the float model."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lprc.compiler.artifact.verification import check_outputs
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.compile.samples import enough_to_verify, execution_of
from lprc.core import registry
from lprc.core.errors import PromiseBrokenError
from lprc.core.onnx_io.model_io import load
from lprc.core.targets.emitter import Emitted
from lprc.core.targets.target import Target

TEXT = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,16] x) => (float[N,4] y) { a = MatMul(x, v) r = Relu(a) y = MatMul(r, w) }"""
TOML = """
name = "mine"
description = "Mine."
precision = "int8"
runtime = "onnxruntime"
emitter = "their_emitter:emit"
tolerance = 1e-4
pipeline = "infer-shapes,calibrate,insert-qdq"
rules = []
"""


@pytest.fixture
def source(tmp_path):
    model = onnx.parser.parse_model(TEXT)
    generator = np.random.default_rng(0)
    for name, shape in {"v": (16, 32), "w": (32, 4)}.items():
        array = generator.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.fixture
def emitting(monkeypatch):
    """Register a target whose artefact is the source with its last weight changed by a factor."""

    def register(source, factor):
        def emit(job):
            model = onnx.load(source)
            weight = next(one for one in model.graph.initializer if one.name == "w")
            changed = numpy_helper.to_array(weight) * np.float32(factor)
            weight.CopyFrom(numpy_helper.from_array(changed, "w"))
            onnx.save(model, job.folder / "model.onnx")
            return Emitted([job.folder / "model.onnx"])

        target = Target.from_toml(TOML, where="mine.toml")
        point = SimpleNamespace(name="mine", value="their_emitter:TARGET", load=lambda: target)
        points = {"lprc.targets": [point]}
        monkeypatch.setattr(registry, "entry_points", lambda group: points.get(group, []))
        monkeypatch.setitem(sys.modules, "their_emitter", SimpleNamespace(emit=emit))

    return register


def samples(scale=1.0):
    generator = np.random.default_rng(1)
    return [
        {"x": (scale * generator.standard_normal((1, 16))).astype(np.float32)} for _ in range(40)
    ]


def test_an_artefact_nearer_to_float_than_its_lowered_graph_is_passes(source, tmp_path, emitting):
    emitting(source, 1.0)
    request = compile_request(source, "mine", tmp_path / "out", calibration=samples())
    compiled = compile_model(request)
    assert compiled.deltas[0].relative > 1e-4
    inputs = samples()[:4]
    check_outputs(tmp_path / "out", inputs, source=source)
    with pytest.raises(PromiseBrokenError, match="--source MODEL judges"):
        check_outputs(tmp_path / "out", inputs)


def test_an_artefact_farther_from_float_does_not(source, tmp_path, emitting):
    emitting(source, 1.1)
    with pytest.raises(PromiseBrokenError, match="outputs are not the lowered graph's: y: max"):
        compile_model(compile_request(source, "mine", tmp_path / "out", calibration=samples()))


def test_a_graph_that_quantisation_has_ruined_excuses_nothing(source, tmp_path, emitting):
    emitting(source, 0.0)
    # Ranges of other data: everything is clipped, and an artefact of zeros would be as near.
    request = compile_request(
        source, "mine", tmp_path / "out", calibration=samples(1e-3), inputs=samples()[:4]
    )
    with pytest.raises(PromiseBrokenError, match="outputs are not the lowered graph's"):
        compile_model(request)


def test_calibration_arrays_verify_too(source):
    given = samples(0.5)
    execution = execution_of(load(source), "m.onnx", calibration=given)
    assert execution.inputs is not None
    assert len(execution.inputs) == 32
    assert np.array_equal(execution.inputs[0]["x"], given[0]["x"])


def test_large_samples_verify_in_smaller_number():
    large = [{"x": np.zeros((1, 3, 640, 640), np.float32)}] * 20
    assert len(enough_to_verify(large)) == 4
    assert len(enough_to_verify([{"x": np.zeros((1, 3, 224, 224), np.float32)}] * 40)) == 7
    assert len(enough_to_verify([{"x": np.zeros((1, 3, 24, 94), np.float32)}] * 40)) == 32
