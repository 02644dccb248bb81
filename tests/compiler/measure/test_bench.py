"""Latencies are of inputs that the models take; what can't be measured is said, in lprc's words."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import lprc
from lprc.compiler.artifact.artifact import Artifact, open_artifact
from lprc.compiler.compile.bench_request import bench_on
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


PYRAMID = """g (float[N,1,H,W] x, int64[N,L] ids) => (float[?,?,?,?] y, int64[N,L] z)
<float[1,1,3,3] w = {1,2,3,4,5,6,7,8,9}, float[4] scales = {1,1,4,4}> {
    a = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w)
    b = Conv<strides=[4,4], pads=[1,1,1,1]>(a, w)
    up = Resize<mode="nearest">(b, , scales)
    y = Concat<axis=1>(up, a) z = Neg(ids)
}"""


def test_open_sizes_are_searched_and_the_same_in_all_runtimes(model):
    path = model(PYRAMID)
    rows = bench([path, f"{path}@openvino"], rounds=1, warmup=0)
    assert rows[0].shapes == rows[1].shapes == {"x": (1, 1, 8, 8), "ids": (1, 8)}
    assert rows[0].invented == {"H": 8, "W": 8, "L": 8}
    assert rows[0].document()["shapes"] == {"x": [1, 1, 8, 8], "ids": [1, 8]}


def test_sizes_are_given_by_name_place_or_shape(model):
    path = model(PYRAMID)
    dims = {"H": 16, "x:3": 24}
    rows = bench_on([path], dims=dims, input_shapes={"ids": (3, None)}, rounds=1, warmup=0)
    assert rows[0].shapes == {"x": (3, 1, 16, 24), "ids": (3, 2)}
    assert rows[0].invented == {"L": 2}


def test_each_artefact_is_loaded_once_whatever_says_the_sizes(model, monkeypatch):
    loaded = []
    load = Artifact.runner

    def counted(self, **options):
        loaded.append(self.path)
        return load(self, **options)

    monkeypatch.setattr(Artifact, "runner", counted)
    path = model(PYRAMID)
    bench_on([path, path], dims={"H": 16, "W": 16}, rounds=1, warmup=0)
    assert len(loaded) == 2


def test_an_artefact_with_fixed_sizes_says_at_which_the_source_is_measured(model, tmp_path):
    path = model("g (float[N,H] x) => (float[N,H] y) { y = Neg(x) }")
    lprc.compile(path, "ort-fp32", input_shapes={"x": (1, 5)}, out=tmp_path / "out")
    rows = bench([path, tmp_path / "out"], rounds=1, warmup=0)
    assert [row.shapes["x"] for row in rows] == [(1, 5), (1, 5)]
    assert rows[0].invented == {}


def test_real_inputs_are_measured_on(model, tmp_path):
    path = model(PYRAMID)
    arrays = {"x": np.zeros((1, 1, 16, 8)), "ids": np.zeros((1, 5), np.int32)}
    np.savez(tmp_path / "real.npz", **arrays)
    for inputs in (tmp_path / "real.npz", [arrays]):
        (row,) = bench_on([path], inputs=inputs, rounds=1, warmup=0)
        assert row.shapes == {"x": (1, 1, 16, 8), "ids": (1, 5)}
    with pytest.raises(UsageError, match="they have sizes already"):
        bench_on([path], inputs=[arrays], dims={"H": 16})
    with pytest.raises(DataError, match="it has x; the inputs are x, ids"):
        bench_on([path], inputs=[{"x": arrays["x"]}])


def test_an_input_that_is_cast_to_its_own_type_has_its_own_name(model):
    path = model("g (bool[N,H] mask) => (float[N,H] y) { a = Cast<to=9>(mask) y = Cast<to=1>(a) }")
    runner = open_artifact(f"{path}@openvino").runner()
    assert list(runner.inputs) == ["mask"]


def test_an_unknown_runtime_and_the_known_ones(model):
    path = model("g (float x) => (float y) { y = Neg(x) }")
    with pytest.raises(UsageError, match=r"unknown runtime 'tvn' \(did you mean 'tvm'\?\)"):
        bench([f"{path}@tvn"], rounds=1)


def test_progress_counts_blocks(model):
    path, calls = model("g (float x) => (float y) { y = Neg(x) }"), []
    bench([path], rounds=BLOCK + 1, warmup=0, progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]
