"""An engine, stand-ins for CUDA and TensorRT, and lowered graphs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_tensorrt import Cuda, Module

from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.onnx_io.model_io import load
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

    def lower(model: str, target: str, batch: int | None = None) -> Path:
        key = (model, target, batch)
        if key not in done:
            source = request.getfixturevalue(model)
            plates = "lprnet" if model == "lprnet_onnx" else "synthetic"
            calib = (
                request.getfixturevalue("lprnet_data") / "calib"
                if model == "lprnet_onnx"
                else source.parent / "synthetic_plates" / "calib"
            )
            samples = ImageSamples(calib, plates, load(source), str(source))
            out = tmp_path_factory.mktemp("lowered") / target
            then = None if batch is None else f"set-batch{{batch={batch}}}"
            settings = {"verify": "off", "calibration": samples[:32]}
            compile_model(compile_request(source, target, out, then=then, emit="onnx", **settings))
            done[key] = out / "lowered.onnx"
        return done[key]

    return lower
