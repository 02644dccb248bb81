"""TensorRT-RTX builds an engine from what the TensorRT targets lower, and in int8 where it should."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lprc.compiler.calibration import ImageSamples
from lprc.compiler.compile import compile_model
from lprc.compiler.optimize import Settings
from lprc.core.model_io import load

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")

BUILDER = Path(__file__).with_name("rtx_layers.py")


def built(model: Path, target: str, out: Path, calib: Path, plates: str) -> dict:
    samples = ImageSamples(calib, plates, load(model), str(model))
    settings = Settings(verify="off", calibration=samples)
    compile_model(model, target, out, emit="onnx", settings=settings)
    done = subprocess.run(
        [sys.executable, BUILDER, out / "lowered.onnx"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def calib(bundled) -> Path:
    return bundled.parent / "synthetic_plates" / "calib"


@pytest.mark.parametrize("target", ["tensorrt-fp32", "tensorrt-fp16", "tensorrt-int8"])
def test_it_builds_an_engine(bundled, calib, tmp_path, target):
    assert built(bundled, target, tmp_path / "out", calib, "synthetic")["bytes"] > 100_000


def test_lprnets_pools_and_convolutions_run_in_int8_end_to_end(lprnet_onnx, lprnet_data, tmp_path):
    layers = built(lprnet_onnx, "trt-int8", tmp_path / "out", lprnet_data / "calib", "lprnet")[
        "layers"
    ]
    pools = [layer for layer in layers if layer["type"] == "maxpool"]
    convolutions = [layer for layer in layers if layer["type"] == "correlation"]
    assert len(pools) == 3
    assert all(set(layer["inputs"] + layer["outputs"]) == {"Int8"} for layer in pools)
    assert len(convolutions) >= 14
    assert all(layer["inputs"][0] == "Int8" for layer in convolutions)
