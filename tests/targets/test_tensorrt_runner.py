"""TensorRT engines where they can't be run: what is missing is said, with the exit code for it."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from fake_tensorrt import Cuda

from lprc.cli.root import main
from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.measure.bench import bench
from lprc.core.errors import InvalidModelError, MissingDependencyError
from lprc.core.running.numerics import RunError
from lprc.core.running.runner import OpenJob
from lprc.core.targets.runtimes import runtime
from lprc.targets.tensorrt_options import TensorRTOptions
from lprc.targets.tensorrt_scripts import cuda_device


def test_without_a_gpu(install, path):
    install(Cuda(code=35, driver=0))
    with pytest.raises(MissingDependencyError) as caught:
        open_artifact(path).runner()
    assert caught.value.exit_code == 7
    assert caught.value.where == str(path)
    assert caught.value.message == (
        "a TensorRT engine runs on an NVIDIA GPU only: there is no NVIDIA driver"
    )
    assert "the lowered.onnx that it was built from" in caught.value.hint
    (path.parent / "lowered.onnx").touch()
    with pytest.raises(MissingDependencyError, match=r"'.*/lowered\.onnx' gives the same outputs"):
        runtime("tensorrt").open(OpenJob(path))
    assert runtime("tensorrt").obstacle() == caught.value.message


@pytest.mark.parametrize("command", ["bench", "eval"])
def test_the_command_line_ends_with_7(install, capsys, path, plates, command):
    install(Cuda(code=100))
    data = ["--data", str(plates)] if command == "eval" else []
    with pytest.raises(SystemExit) as ended:
        main([command, str(path), *data])
    assert ended.value.code == 7
    assert "runs on an NVIDIA GPU only" in capsys.readouterr().err


def test_without_modules(monkeypatch, path):
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(MissingDependencyError, match="CUDA bindings") as caught:
        runtime("tensorrt").open(OpenJob(path))
    assert caught.value.hint == 'pip install "lprc[tensorrt]"'
    monkeypatch.setattr(cuda_device, "cuda_runtime", Cuda)
    for name in ("tensorrt_rtx", "tensorrt"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match="TensorRT can't be imported") as caught:
        runtime("tensorrt").open(OpenJob(path))
    assert caught.value.hint == 'pip install "lprc[tensorrt]"'
    assert runtime("tensorrt").obstacle() == caught.value.message


def test_an_engine_of_another_version(install, path):
    install()
    path.write_bytes(b"other")
    with pytest.raises(InvalidModelError, match="expecting library version") as caught:
        runtime("tensorrt").open(OpenJob(path))
    assert caught.value.where == str(path)


def test_an_engine_is_run_and_measured_like_any_artefact(install, path):
    install()
    runner = open_artifact(path).runner(threads=1)
    assert (runner.inputs, runner.outputs) == ({"x": (None, 3)}, ["y"])
    np.testing.assert_array_equal(runner.run({"x": np.ones((2, 3), np.float32)})["y"], 3)
    (row,) = bench([path], batch=4, rounds=10)
    assert (row.backend, row.size_bytes) == ("tensorrt", 6)
    for run in (runner.run, runner.bound):
        with pytest.raises(RunError, match=r"the engine takes \[1, 3\] to \[4, 3\]"):
            run({"x": np.ones((9, 3), np.float32)})
    with pytest.raises(RunError, match=r"model\.engine: input 'x' has the shape \[8, 3\]"):
        bench([path], batch=8)


def test_engines_run_where_everything_is_there(install):
    install()
    assert runtime("tensorrt").obstacle() is None
    assert runtime("ort").obstacle() is None


def test_a_gpu_that_tensorrt_rtx_does_not_support(install, path, monkeypatch):
    """Hopper: TensorRT-RTX builds there, and refuses to load any engine."""
    _, module = install()
    module.ComputeCapability = SimpleNamespace(SM80=1, SM89=2, SM120=3, CURRENT=4)
    monkeypatch.setattr(cuda_device, "capability", lambda: "90")
    with pytest.raises(MissingDependencyError, match="does not support Fake"):
        open_artifact(path).runner()
    assert "does not support" in runtime("tensorrt").obstacle()
    for supported in ("80", "89", "121"):
        monkeypatch.setattr(cuda_device, "capability", lambda supported=supported: supported)
        assert runtime("tensorrt").obstacle() is None


def test_an_engine_for_another_gpu_than_the_one_here_is_not_run(install):
    install()
    wanted = {"80,89": "it is for compute capability 80, 89, and the GPU here has 86", "86": None}
    for capabilities, obstacle in {**wanted, "auto": None}.items():
        options = TensorRTOptions(compute_capability=tuple(capabilities.split(",")))
        assert options.obstacle() == obstacle
    install(Cuda(code=100))
    assert TensorRTOptions(compute_capability=("80",)).obstacle() is None


def test_openvino_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert runtime("openvino").obstacle() == "OpenVINO is not installed"
