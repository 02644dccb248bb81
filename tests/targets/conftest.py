"""An engine, stand-ins for CUDA and TensorRT, and lowered graphs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_tensorrt import Cuda, Module

from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.onnx_io.model_io import load
from lprc.core.tasks.task_file import task_choice
from lprc.targets.tensorrt_scripts import cuda_device


@pytest.fixture
def path(tmp_path):
    (tmp_path / "model.engine").write_bytes(b"engine")
    return tmp_path / "model.engine"


@pytest.fixture
def install(monkeypatch):
    def install(cuda=None, **wrong):
        cuda = cuda or Cuda()
        module = Module(cuda, **wrong)
        monkeypatch.setattr(cuda_device, "cuda_runtime", lambda: cuda)
        monkeypatch.setattr(cuda_device, "tensorrt_module", lambda name=None: module)
        return cuda, module

    return install


@pytest.fixture(scope="session")
def lowered(request, tmp_path_factory):
    """Lower a model for a target, once: ``lowered("lprnet_onnx", "trt-int8", batch=1)``."""
    done: dict[tuple[str, str, int | None], Path] = {}

    def calibrated(model: str, target: str, out: Path) -> None:
        source = request.getfixturevalue(model)
        plates = "lprnet" if model == "lprnet_onnx" else "synthetic"
        calib = (
            request.getfixturevalue("lprnet_data") / "calib"
            if model == "lprnet_onnx"
            else source.parent / "synthetic_plates" / "calib"
        )
        samples = ImageSamples(calib, task_choice(plates), load(source), str(source))
        compile_model(
            compile_request(
                source, target, out, emit="onnx", verify="off", calibration=samples[:32]
            )
        )

    def lower(model: str, target: str, batch: int | None = None) -> Path:
        key = (model, target, batch)
        if key not in done:
            out = tmp_path_factory.mktemp("lowered") / target
            if batch is None:
                calibrated(model, target, out)
            else:  # the same graph as with `then`, without calibrating once more
                compile_model(
                    compile_request(
                        lower(model, target),
                        target,
                        out,
                        passes=f"set-batch{{batch={batch}}}",
                        emit="onnx",
                        verify="off",
                    )
                )
            done[key] = out / "lowered.onnx"
        return done[key]

    return lower
