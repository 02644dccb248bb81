"""Requests under load, and what each layer takes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import lprc
from lprc.compiler.compile.bench_request import layers_on, measured_on
from lprc.compiler.measure.load import TURNS, LoadSettings, under_load
from lprc.core.errors import UsageError
from lprc.core.running.layer_times import LayerTime, over_runs

MODEL = """<ir_version: 9, opset_import: ["" : 18]>
g (float[1,4,8,8] x) => (float[1,4,8,8] y) {
    a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(b)
}"""


@pytest.fixture
def model(tmp_path):
    graph = onnx.parser.parse_model(MODEL)
    array = np.random.default_rng(0).standard_normal((4, 4, 3, 3)).astype(np.float32)
    graph.graph.initializer.append(onnx.numpy_helper.from_array(array, "w"))
    onnx.save(graph, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_so_many_requests_by_several_streams(model):
    rows = under_load([model, f"{model}@openvino"], LoadSettings(2, requests=45), threads=1)
    assert [row.backend for row in rows] == ["ort", "openvino"]
    for row in rows:
        assert row.requests == 5 * TURNS  # rounded up to whole turns
        ranks = [row.latency_ms[f"p{rank}"] for rank in (50, 90, 95, 99)]
        assert 0 < ranks[0] <= ranks[1] <= ranks[2] <= ranks[3]
        assert row.per_second > 0
        assert row.streams == 2
    assert rows[0].ratio.value == 1.0
    assert rows[1].ratio.pairs == TURNS


def test_so_many_seconds(model):
    calls = []
    settings = LoadSettings(1, duration=0.5)
    (row,) = under_load([model], settings, threads=1, progress=lambda *call: calls.append(call))
    assert row.requests >= TURNS
    assert calls[-1] == (TURNS, TURNS)
    assert row.document()["ratio"]["ratio"] == 1.0


def test_a_failure_in_a_stream_is_told(model, monkeypatch):
    from lprc.compiler.runners.ort import OrtRunner

    calls = []

    def bound(_self, _inputs):
        def run():
            calls.append(1)
            if len(calls) > 8:
                raise RuntimeError("no more")

        return run

    monkeypatch.setattr(OrtRunner, "bound", bound)
    with pytest.raises(RuntimeError, match="no more"):
        under_load([model], LoadSettings(2, requests=20))


def test_layers_of_openvino_and_onnxruntime(model):
    found = layers_on([model, f"{model}@openvino"], rounds=3, threads=1)
    ort, openvino = found.values()
    assert "Conv" in [layer.kind for layer in ort]
    assert "MaxPool" in [layer.kind for layer in ort]
    assert "Convolution" in [layer.kind for layer in openvino]
    assert all(layer.ms >= 0 for layer in (*ort, *openvino))
    assert any(layer.kernel for layer in openvino)


def test_kernels_of_tvm(model, tmp_path):
    lprc.compile(model, "tvm-fp32", out=tmp_path / "tvm", verify="off")
    (layers,) = layers_on([tmp_path / "tvm"], rounds=3, threads=1).values()
    assert layers
    assert not [layer.name for layer in layers if layer.name.startswith("vm.builtin")]


def test_a_runtime_that_does_not_tell(model, monkeypatch):
    from dataclasses import replace

    from lprc.compiler.artifact import artifact

    quiet = replace(artifact.runtime("ort"), profiler="")
    monkeypatch.setattr(artifact, "runtime", lambda _: quiet)
    with pytest.raises(UsageError, match="ONNX Runtime does not tell what layers take"):
        layers_on([model], rounds=1)


def test_a_layer_that_runs_twice_counts_with_both():
    runs = [[("a", "Conv", "", 1.0), ("a", "Conv", "", 2.0), ("b", "Add", "", 1.0)]] * 2
    assert over_runs([*runs, [("a", "Conv", "", 9.0)]]) == [
        LayerTime("a", "Conv", "", 3.0),
        LayerTime("b", "Add", "", 1.0),
    ]


def test_the_tasks_own_samples(bundled, plates):
    inputs = measured_on(data=plates, task="synthetic")
    from lprc.compiler.artifact.artifact import open_artifact

    artefact = open_artifact(bundled)
    (array,) = inputs(artefact, artefact.runner()).values()
    assert array.shape == (1, 3, 24, 94)
    assert array.std() > 0.1
    with pytest.raises(UsageError, match="its samples are the inputs"):
        measured_on(data=plates, dims={"N": 2})
