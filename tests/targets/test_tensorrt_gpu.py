"""On a GPU: engines give what ONNX Runtime gives for the lowered graph, and replay as CUDA graphs."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.measure.bench import bench
from lprc.compiler.measure.evaluation import evaluate
from lprc.core.onnx_io.model_io import load
from lprc.core.running.numerics import RunError, rounding
from lprc.core.running.runner import OpenJob
from lprc.core.targets.runtimes import runtime
from lprc.core.targets.target import target
from lprc.core.tasks.task_file import task_choice
from lprc.models.images import load_batch
from lprc.models.labels import read_labelled
from lprc.models.plate_config import PlateConfig
from lprc.targets.tensorrt_scripts import run_engine
from lprc.targets.tensorrt_scripts.engine import Engine

pytestmark = [pytest.mark.gpu, pytest.mark.data]

TARGETS = ["trt-fp32", "trt-fp16", "trt-int8"]
BATCHES = [1, 2, 3, 5, 8, 1]
"""Within the default profile; up and down again, as memory is used again."""


@pytest.fixture(scope="module", params=TARGETS)
def built(request, lprnet_onnx, lprnet_data, tmp_path_factory):
    """The real LPRNet's engine for a target, and the target's name."""
    samples = ImageSamples(
        lprnet_data / "calib", task_choice("lprnet"), load(lprnet_onnx), str(lprnet_onnx)
    )
    out = tmp_path_factory.mktemp("engine") / request.param
    compile_model(
        compile_request(
            lprnet_onnx, request.param, out, verify="off", calibration=samples, inputs=samples[:4]
        )
    )
    return out, request.param


@pytest.fixture(scope="module")
def plates(lprnet_data):
    config = PlateConfig.named("lprnet")
    items = read_labelled(lprnet_data / "val", config)
    return load_batch([item.path for item in items[:16]], config)


@pytest.fixture
def engine(built):
    engine = Engine(built[0] / "model.engine")
    yield engine
    engine.close()


def difference(wanted, found):
    (name,) = wanted
    return run_engine.difference(wanted[name], found[name])[1]


def test_outputs_are_those_of_the_lowered_graph(built, plates):
    out, name = built
    found, wanted = (
        runtime("tensorrt").open(OpenJob(out / "model.engine")),
        runtime("ort").open(OpenJob(out / "lowered.onnx")),
    )
    (image,) = found.inputs
    assert found.inputs[image][0] is None
    assert found.outputs == wanted.outputs
    tolerance = max(target(name).tolerance, rounding(load(out / "lowered.onnx")))
    for batch in BATCHES:
        inputs = {image: plates[:batch].astype(found.dtypes[image])}
        assert difference(wanted.run(inputs), found.run(inputs)) <= tolerance
    with pytest.raises(RunError, match="the engine takes"):
        found.run({image: plates[:9].astype(found.dtypes[image])})


def test_a_graph_gives_what_a_run_gives(engine, plates):
    (image,) = engine.inputs
    first, second = (
        {image: plates[start : start + 4].astype(engine.dtypes[image])} for start in (0, 4)
    )
    replay = engine.bound(first)
    assert replay.cuda_graph
    engine.run(second)
    other = engine.bound(second)
    for run, inputs in ((replay, first), (other, second), (replay, first)):
        run()
        assert difference(engine.run(inputs), run.outputs()) <= 1e-3


def test_accuracy_is_that_of_the_lowered_graph(built, lprnet_data):
    out, _ = built
    runs = [
        evaluate(artefact, lprnet_data / "val", task=task_choice("lprnet"), batch=8)
        for artefact in (out, f"{out / 'lowered.onnx'}@ort")
    ]
    assert abs(runs[0].accuracy - runs[1].accuracy) <= 0.005


def median(run, count=300):
    taken = []
    for index in range(count + 50):
        started = time.perf_counter()
        run()
        if index >= 50:
            taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def test_a_graph_is_faster_than_launching_each_kernel(engine, plates):
    (image,) = engine.inputs
    inputs = {image: plates[:1].astype(engine.dtypes[image])}
    graph, plain = engine.bound(inputs), engine.bound(inputs, cuda_graph=False)
    assert (graph.cuda_graph, plain.cuda_graph) == (True, False)
    assert median(graph) < median(plain)


def test_bench_and_eval_take_the_folder(built, lprnet_data):
    out, _ = built
    (row,) = bench([out], batch=4, rounds=20)
    assert row.backend == "tensorrt"
    assert 0 < row.min_ms <= row.median_ms <= row.p95_ms
    command = [sys.executable, "-m", "lprc", "eval", out, "--data", lprnet_data / "val", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"] > 0.85


def test_the_script_compares_and_measures(built, plates, tmp_path, capsys):
    out, name = built
    reference = runtime("ort").open(OpenJob(out / "lowered.onnx"))
    (image,) = reference.inputs
    inputs = {image: plates[:4].astype(reference.dtypes[image])}
    arrays = {f"input:{image}": inputs[image]}
    arrays |= {f"output:{key}": array for key, array in reference.run(inputs).items()}
    np.savez(tmp_path / "right.npz", **arrays)
    np.savez(tmp_path / "wrong.npz", **{k: a if k[0] == "i" else -a for k, a in arrays.items()})
    tolerance = max(target(name).tolerance, rounding(load(out / "lowered.onnx")))
    options = ["--json", "--tolerance", str(tolerance), "--rounds", "20"]
    engine = str(out / "model.engine")
    assert run_engine.main([engine, str(tmp_path / "right.npz"), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["latency"]["cuda_graph"]
    assert found["versions"]["driver_cuda"] != "0.0"
    print(json.dumps(found))  # what was measured, with device and versions: pytest -s
    assert run_engine.main([engine, str(tmp_path / "wrong.npz"), *options]) == 1


@pytest.mark.parametrize("keep", [0, 100, 100_000])
def test_a_damaged_engine_is_named(built, plates, tmp_path, keep):
    path = tmp_path / "model.engine"
    path.write_bytes((built[0] / "model.engine").read_bytes()[:keep])
    np.savez(tmp_path / "reference.npz", **{"input:x": plates[:1], "output:y": plates[:1]})
    # In a process of its own: vendor code may crash on it.
    command = [sys.executable, run_engine.__file__, path, tmp_path / "reference.npz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "can't load model.engine" in done.stderr
