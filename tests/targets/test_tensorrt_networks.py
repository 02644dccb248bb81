"""Networks that are not LPRNet become engines, in int8 wherever the graph asks for it."""

from __future__ import annotations

import onnx
import pytest
from small_networks import NETWORKS, Detector, exported

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.onnx_io.model_io import load
from lprc.core.running.random_inputs import random_inputs

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")

ALL = (*NETWORKS, Detector)
LINEAR = {
    "Residual": {"Conv": 4, "Gemm": 1},
    "UNet": {"Conv": 4, "MaxPool": 1},
    "Depthwise": {"Conv": 6, "Gemm": 1},
    "Recurrent": {"Conv": 1, "MatMul": 1},
    "Shuffled": {"Conv": 5},
    "Detector": {"Conv": 6, "MaxPool": 1},
}
"""What runs in int8; the LSTM and ConvTranspose do not."""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    sources = {}

    def compile_(network, target, out):
        name = network.__name__
        if name not in sources:
            path = tmp_path_factory.mktemp("zoo") / f"{name}.onnx"
            onnx.save(exported(network, "export"), path)
            model = load(path)
            sources[name] = (
                path,
                [random_inputs(model, seed=seed, batch=1) for seed in range(16)],
            )
        source, samples = sources[name]
        settings = {"calibration": samples, "inputs": samples[:2]}
        options = {"compute-capability": ("86",)}
        return compile_model(compile_request(source, target, out, options=options, **settings))

    return compile_


@pytest.mark.parametrize("target", ["trt-int8", "trt-int8-fp16"])
@pytest.mark.parametrize("network", ALL, ids=lambda network: network.__name__)
def test_int8(compiled, tmp_path, network, target):
    report = compiled(network, target, tmp_path / "out").emitted.report
    asked = {name: each["asked"] for name, each in report["operators"].items() if each["asked"]}
    got = {name: each["int8"] for name, each in report["operators"].items() if each["int8"]}
    assert asked == got == LINEAR[network.__name__]


@pytest.mark.parametrize("target", ["trt-fp32", "trt-fp16"])
@pytest.mark.parametrize("network", ALL, ids=lambda network: network.__name__)
def test_float(compiled, tmp_path, network, target):
    report = compiled(network, target, tmp_path / "out").emitted.report
    assert all(each["asked"] == each["int8"] == 0 for each in report["operators"].values())
    kind = "Half" if target == "trt-fp16" else "Float"
    assert report["float"]
    assert {tuple(each["reads"]) for each in report["float"]} == {(kind,)}


@pytest.mark.parametrize("target", ["trt-int8", "trt-int8-fp16"])
def test_conv_transpose_stays_in_float_and_it_is_said_why(compiled, tmp_path, target):
    unet = next(network for network in NETWORKS if network.__name__ == "UNet")
    report = compiled(unet, target, tmp_path / "out").emitted.report
    (only,) = report["float"]
    assert (only["operator"], only["asked"]) == ("ConvTranspose", "float")
    assert only["why"] == "not quantised: TensorRT-RTX computes every ConvTranspose in float"
    assert report["operators"]["ConvTranspose"] == {"all": 1, "asked": 0, "int8": 0}
