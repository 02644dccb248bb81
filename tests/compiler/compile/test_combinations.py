"""Pruned, then sparse, then quantised, for a target: widths and zeros stay what they were made."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.graph.weight_sparsity import weights
from lprc.core.onnx_io.model_io import load
from lprc.core.targets.emitter import Emit

NETWORK = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,4,8,8] x) => (float[N,d,e,f] y)
{ [first] a = Conv<pads=[1,1,1,1]>(x, u, b) c = Relu(a) p = MaxPool<kernel_shape=[2,2]>(c)
  [second] h = Conv(p, v) s = Relu(h) [third] y = Conv(s, w) }"""
SMALLER = "infer-shapes,prune-channels{ratio=0.5,round-to=8},reconstruct,sparsify{pattern=2:4}"
TARGETS = ["onnx-qdq", "ov-int8", "ort-int8", "trt-sparse-int8"]
MODULES = {"ov-int8": "openvino", "trt-sparse-int8": "tensorrt_rtx"}


@pytest.fixture
def samples():
    generator = np.random.default_rng(0)
    return [{"x": generator.standard_normal((1, 4, 8, 8)).astype(np.float32)} for _ in range(16)]


@pytest.fixture
def source(tmp_path):
    model = onnx.parser.parse_model(NETWORK)
    generator = np.random.default_rng(1)
    shapes = {"u": (16, 4, 3, 3), "b": (16,), "v": (32, 16, 1, 1), "w": (8, 32, 1, 1)}
    for name, shape in shapes.items():
        array = generator.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def arrays(path):
    return {weight.node.name: weight.array for weight in weights(load(path))}


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_keeps_widths_and_zeros(target, source, tmp_path, samples):
    if target in MODULES:
        pytest.importorskip(MODULES[target])
    small = tmp_path / "small"
    compile_model(compile_request(source, "onnx", small, passes=SMALLER, calibration=samples))
    smaller = arrays(small / "lowered.onnx")
    assert {name: array.shape[:2] for name, array in smaller.items()} == {
        "first": (8, 4), "second": (16, 8), "third": (8, 16),
    }  # fmt: skip
    out = tmp_path / "out"
    emit: Emit = "kit" if target.startswith("trt") else "engine"
    compile_model(
        compile_request(small / "lowered.onnx", target, out, calibration=samples, emit=emit)
    )
    lowered = [weight.array for weight in weights(load(out / "lowered.onnx"))]
    assert len(lowered) == len(smaller)
    for array, before in zip(lowered, smaller.values(), strict=True):
        # ort-int8 leaves a Conv in float that no integer kernel would take.
        assert array.dtype == np.int8 or target == "ort-int8"
        assert array.shape == before.shape
        assert not array[before == 0].any()
        assert np.count_nonzero(array) > 0.4 * array.size
    assert all(weight.has_pattern(2, 4) for weight in weights(load(out / "lowered.onnx")))
