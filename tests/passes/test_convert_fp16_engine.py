"""TensorRT-RTX computes in int8 and float16 what tensorrt-int8-fp16 lowers. Needs no GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.random_inputs import random_inputs
from lprc.core.targets import legality
from lprc.core.targets.target import Target

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")

BUILDER = Path(__file__).parents[1] / "targets" / "rtx_layers.py"
TARGET = Target.from_resource("lprc.targets", "tensorrt-int8-fp16.toml")


def network() -> onnx.ModelProto:
    """Conv, Relu, MaxPool, Conv with one channel of tiny weights, a mean, a Gemm."""
    generator = np.random.default_rng(0)
    weights: dict[str, np.ndarray] = {
        "w1": generator.standard_normal((32, 3, 3, 3)) / 5,
        "w2": generator.standard_normal((32, 32, 3, 3)) / 17,
        "w3": generator.standard_normal((10, 32)) / 6,
        "b1": generator.standard_normal(32),
        "b2": generator.standard_normal(32),
    }
    weights["w2"][7] *= 1e-4
    body = """<ir_version: 9, opset_import: ["" : 20]>
    g (float[N,3,16,16] x) => (float[N,10] y) {
        c1 = Conv<pads=[1,1,1,1]>(x, w1, b1) r1 = Relu(c1)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r1)
        c2 = Conv<pads=[1,1,1,1]>(p, w2, b2) r2 = Relu(c2)
        a = AveragePool<kernel_shape=[8,8]>(r2) f = Flatten(a) y = Gemm<transB=1>(f, w3)
    }"""
    proto = onnx.parser.parse_model(body)
    proto.graph.initializer.extend(
        numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()
    )
    return proto


@pytest.fixture(scope="module")
def layers(tmp_path_factory) -> list[dict]:
    model = model_io.from_proto(network())
    samples = [random_inputs(model, seed=seed) for seed in range(8)]
    PassManager(Pipeline.parse(TARGET.pipeline), calibration=samples).run(model)
    assert not legality.check(model, TARGET.rules)
    path = tmp_path_factory.mktemp("engine") / "lowered.onnx"
    model_io.save(model, path)
    done = subprocess.run(
        [sys.executable, BUILDER, path], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)["layers"]


def of_type(layers: list[dict], kind: str) -> list[dict]:
    return [layer for layer in layers if layer["type"] == kind]


def test_linear_operators_and_pools_take_int8(layers):
    assert [layer["inputs"][0] for layer in of_type(layers, "correlation")] == ["Int8"] * 2
    assert [layer["inputs"][0] for layer in of_type(layers, "gemm")] == ["Int8"]
    (pool,) = of_type(layers, "maxpool")
    assert (pool["inputs"], pool["outputs"]) == (["Int8"], ["Int8"])


def test_what_is_not_int8_is_float16(layers):
    (pool,) = of_type(layers, "avgpool")
    assert (pool["inputs"], pool["outputs"]) == (["Half"], ["Half"])
    (gemm,) = of_type(layers, "gemm")
    assert gemm["outputs"] == ["Half"]
