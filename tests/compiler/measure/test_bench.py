"""Latencies are of inputs that the models take; what can't be measured is said, in lprc's words."""

from __future__ import annotations

import onnx
import pytest

from lprc.compiler.measure.bench import BLOCK, bench
from lprc.core.errors import DataError, UsageError
from lprc.core.running.numerics import RunError

HEAD = '<ir_version: 9, opset_import: ["" : 18]>\n'


@pytest.fixture
def model(tmp_path):
    def save(text, name="m.onnx"):
        onnx.save(onnx.parser.parse_model(HEAD + text), tmp_path / name)
        return tmp_path / name

    return save


@pytest.mark.parametrize(
    "signature", ["float x", "float[2,3] x", "float16[N,2] x", "double[N] x", "int64[N,2] x"]
)
def test_every_shape_and_type_in_both_runtimes(model, signature):
    kind = signature.removesuffix(" x")
    path = model(f"g ({signature}) => ({kind} y) {{ y = Neg(x) }}")
    rows = bench([path, f"{path}@openvino"], rounds=1, warmup=0, threads=1, batch=3)
    assert [row.backend for row in rows] == ["ort", "openvino"]
    assert all(0 < row.min_ms <= row.median_ms <= row.p95_ms for row in rows)
    assert rows[0].ratio_to_first == 1.0
    assert rows[0].size_bytes == path.stat().st_size


@pytest.mark.parametrize("backend", ["ort", "openvino"])
def test_no_values_for_bfloat16(model, backend):
    path = model("g (bfloat16[N,2] x) => (float[N,2] y) { y = Cast<to=1>(x) }")
    with pytest.raises(DataError, match=r"m\.onnx: input 'x': no values of its type"):
        bench([f"{path}@{backend}"], rounds=1)


def test_no_values_for_strings(model):
    path = model("g (string[N] x) => (string[N] y) { y = Identity(x) }")
    with pytest.raises(DataError, match="input 'x': no values of its type can be made up"):
        bench([path], rounds=1)


def test_a_model_that_fails_on_the_inputs(model):
    path = model("g (int64[64] i) => (float[64] y) <float[1] w = {1}> { y = Gather(w, i) }")
    with pytest.raises(RunError, match=r"m\.onnx: ONNX Runtime can't run it: .*out of data bounds"):
        bench([path], rounds=1)


def test_symbolic_sizes_are_named(model):
    path = model("g (float[N,H] image) => (float[N,H] y) { y = Neg(image) }")
    with pytest.raises(DataError, match="input 'image' has symbolic dimensions besides its batch"):
        bench([path], rounds=1)


def test_an_unknown_runtime_and_the_known_ones(model):
    path = model("g (float x) => (float y) { y = Neg(x) }")
    with pytest.raises(UsageError, match=r"unknown runtime 'tvn' \(did you mean 'tvm'\?\)"):
        bench([f"{path}@tvn"], rounds=1)


def test_progress_counts_blocks(model):
    path, calls = model("g (float x) => (float y) { y = Neg(x) }"), []
    bench([path], rounds=BLOCK + 1, warmup=0, progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]
