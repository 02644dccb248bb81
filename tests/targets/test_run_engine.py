"""Engines are run as CUDA and TensorRT want it, and everything in the way of that is said.

Without a GPU: on stand-ins for both.
"""

from __future__ import annotations

import gc
import subprocess
import sys

import numpy as np
import pytest
from fake_tensorrt import Context, Cuda, Module
from fake_tensorrt import Engine as FakeEngine

from lprc.targets.tensorrt_scripts import cuda_device
from lprc.targets.tensorrt_scripts.cuda_device import BadEngine, MissingModule, NoGpu, RunFailed
from lprc.targets.tensorrt_scripts.engine import DTYPES, Engine


def x(batch, first=0.0):
    return {"x": np.arange(first, first + batch * 3, dtype=np.float32).reshape(batch, 3)}


def test_what_it_takes_and_gives(install, path):
    _, module = install()
    engine = Engine(path)
    assert engine.inputs == {"x": (None, 3)}
    assert engine.dtypes == {"x": np.dtype("float32")}
    assert engine.outputs == ["y"]
    assert engine.device == "Fake, compute capability 8.6"
    # Or TensorRT-RTX would run its slower kernels first.
    config = module.configs[0]
    assert config.dynamic_shapes_kernel_specialization_strategy == "eager"


def test_runs_of_several_batches_share_memory(install, path):
    cuda, _ = install()
    engine = Engine(path)
    for batch in (4, 1, 3):
        np.testing.assert_array_equal(
            engine.run(x(batch, batch))["y"], 2 * x(batch, batch)["x"] + 1
        )
        assert sorted(map(len, cuda.live.values())) == [48, 48]


def test_memory_grows(install, path):
    cuda, _ = install()
    engine = Engine(path)
    for batch in (1, 2, 4):
        engine.run(x(batch))
        assert sorted(map(len, cuda.live.values())) == [12 * batch] * 2


def test_everything_is_freed_when_the_engine_is_closed(install, path):
    cuda, _ = install()
    engine = Engine(path)
    engine.run(x(2))
    replay = engine.bound(x(3))
    assert (len(cuda.live), cuda.graphs, len(cuda.streams)) == (4, ["executable"], 1)
    engine.close()
    assert (cuda.live, cuda.graphs, cuda.streams) == ({}, [], [])
    for run in (replay, lambda: engine.run(x(1)), lambda: engine.bound(x(1))):
        with pytest.raises(RunFailed, match="the engine is closed"):
            run()


def test_a_bound_run_keeps_its_engine_and_frees_it_at_its_end(install, path):
    cuda, _ = install()
    replay = Engine(path).bound(x(2))
    gc.collect()
    replay()
    np.testing.assert_array_equal(replay.outputs()["y"], 2 * x(2)["x"] + 1)
    del replay
    assert (cuda.live, cuda.graphs, cuda.streams) == ({}, [], [])


def test_a_bound_run_replays_a_graph_without_copies(install, path):
    cuda, _ = install()
    replay = Engine(path).bound(x(2))
    assert replay.cuda_graph
    cuda.calls.clear()
    replay()
    replay()
    assert cuda.calls == ["launch", "wait"] * 2


def test_a_graph_keeps_its_inputs_whatever_else_is_run(install, path):
    install()
    engine = Engine(path)
    replay = engine.bound(x(2, 5.0))
    engine.run(x(4))
    engine.bound(x(1))
    replay()
    np.testing.assert_array_equal(replay.outputs()["y"], 2 * x(2, 5.0)["x"] + 1)


@pytest.mark.parametrize("capturable", [False, "fails"])
def test_what_can_not_be_captured_is_enqueued(install, path, capturable):
    cuda, _ = install(capturable=capturable)
    replay = Engine(path).bound(x(2))
    assert not replay.cuda_graph
    cuda.calls.clear()
    replay()
    assert cuda.calls == ["enqueue", "wait"]
    np.testing.assert_array_equal(replay.outputs()["y"], 2 * x(2)["x"] + 1)
    assert cuda.graphs == []


def test_no_graph_where_none_is_wanted(install, path):
    install()
    assert not Engine(path).bound(x(2), cuda_graph=False).cuda_graph


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"the inputs are \[\], the engine's are \['x'\]"),
        ({"z": x(1)["x"]}, r"the inputs are \['z'\]"),
        (x(5), r"input 'x' has the shape \[5, 3\], the engine takes \[1, 3\] to \[4, 3\]"),
        (x(0), r"input 'x' has the shape \[0, 3\]"),
        ({"x": np.zeros((1, 4), np.float32)}, r"input 'x' has the shape \[1, 4\]"),
        ({"x": np.zeros(3, np.float32)}, r"input 'x' has the shape \[3\]"),
        ({"x": np.zeros((1, 3))}, "input 'x' is float64, the engine takes float32"),
    ],
)
def test_inputs_that_it_does_not_take(install, path, inputs, message):
    install()
    engine = Engine(path)
    for run in (engine.run, engine.bound):
        with pytest.raises(RunFailed, match=message):
            run(inputs)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"kind": "BF16"}, BadEngine, "model.engine: 'x' is BF16, which numpy can't hold"),
        ({"location": Module.TensorLocation.HOST}, BadEngine, "model.engine: 'x' is a shape tensor"),
        ({"no_context": True}, RunFailed, "TensorRT can't prepare the engine"),
        ({"broken": True}, RunFailed, "TensorRT can't run the engine: the kernel is gone"),
        ({"data_dependent": True}, RunFailed, "shape of output 'y' depends on the data"),
        ({"cuda": Cuda(memory=8)}, RunFailed, r"CUDA failed: it failed \(cudaError2\)"),
    ],
)  # fmt: skip
def test_engines_that_can_not_be_run(install, path, wrong, error, message):
    cuda, _ = install(**wrong)
    with pytest.raises(error, match=message) as caught:
        Engine(path).run(x(1))
    assert caught.value.remedy
    del caught
    gc.collect()
    assert (cuda.live, cuda.streams) == ({}, [])


def test_an_engine_of_another_version(install, path):
    install()
    path.write_bytes(b"other")
    message = "tensorrt_rtx 1.7 can't load model.engine: expecting library version 1.7 got 1.6"
    with pytest.raises(BadEngine, match=message) as caught:
        Engine(path)
    assert caught.value.remedy == "build it with this version, and for this GPU's architecture"
    with pytest.raises(BadEngine, match="none can't be read"):
        Engine(path.with_name("none"))


@pytest.mark.parametrize(
    ("cuda", "message"),
    [
        (Cuda(code=35, driver=0), "there is no NVIDIA driver"),
        (Cuda(code=35, driver=12020), "the NVIDIA driver is for CUDA 12.2, the bindings for CUDA 13.5"),
        (Cuda(code=100), r"CUDA finds no GPU \(cudaError100\)"),
        (Cuda(count=0), "CUDA finds no GPU\n"),
    ],
)  # fmt: skip
def test_no_gpu_before_tensorrt_is_touched(install, monkeypatch, path, cuda, message):
    install(cuda)
    monkeypatch.setattr(cuda_device, "tensorrt_module", lambda name: pytest.fail("would crash"))
    with pytest.raises(NoGpu) as caught:
        Engine(path)
    assert caught.match(message)
    assert caught.value.remedy


def test_modules_that_are_missing(monkeypatch):
    for name in ("cuda.bindings.runtime", "tensorrt_rtx", "tensorrt"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingModule, match="CUDA bindings can't be imported"):
        cuda_device.devices()
    with pytest.raises(MissingModule, match=r"imported \(tensorrt_rtx: .*; tensorrt: "):
        cuda_device.tensorrt_module()
    with pytest.raises(MissingModule, match=r"imported \(tensorrt: "):
        cuda_device.tensorrt_module("tensorrt")


def public(stand_in):
    return {name for name in vars(stand_in) if not name.startswith("_")}


def test_the_stand_ins_have_the_vendors_names():
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    assert public(Cuda) <= set(dir(runtime))
    assert public(Context) <= set(dir(trt.IExecutionContext))
    assert public(FakeEngine) <= set(dir(trt.ICudaEngine))
    assert public(Module) <= {*dir(trt), *dir(trt.Runtime)}
    assert set(DTYPES) <= set(trt.DataType.__members__)
    assert hasattr(trt.IRuntimeConfig, "dynamic_shapes_kernel_specialization_strategy")
    assert hasattr(trt.DynamicShapesKernelSpecializationStrategy, "EAGER")
    assert public(Module.ILogger) <= set(dir(trt.ILogger))
    for kind in vars(Cuda.cudaMemcpyKind):
        assert kind in runtime.cudaMemcpyKind.__members__
    assert "cudaStreamCaptureModeThreadLocal" in runtime.cudaStreamCaptureMode.__members__


LOGS = """
import tensorrt_rtx
from lprc.targets.tensorrt_scripts.engine import logger
log = logger(tensorrt_rtx)
assert logger(tensorrt_rtx) is log
network = tensorrt_rtx.Builder(log).create_network()
assert not tensorrt_rtx.OnnxParser(network, log).parse(b"rubbish")
print(*log.errors)
"""


def test_the_logger_keeps_tensorrts_errors():
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    done = subprocess.run([sys.executable, "-c", LOGS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Failed to parse the ONNX model" in done.stdout


def test_the_gpus_own_time_is_measured_by_events(install, path):
    cuda, _ = install()
    replay = Engine(path).bound(x(2))
    cuda.calls.clear()
    assert replay.device_ms(5) == 1  # the stand-in's clock ticks once a launch
    assert cuda.calls == ["launch"] * 5
    assert cuda.destroyed == [0, 1]
