"""Calibration samples from files of arrays, for networks that take no image."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import lprc
from lprc.compiler.compile.array_samples import ArraySamples
from lprc.compiler.compile.samples import samples_of
from lprc.core.errors import DataError
from lprc.core.onnx_io.model_io import load

TWO = """
<ir_version: 9, opset_import: ["" : 20]>
g (float[n,4,8] x, int64[n] index, float scale) => (float[n,4,3] y)
<float[8,3] w = {{{weights}}}> {{
    product = MatMul(x, w)
    scaled = Mul(product, scale)
    shifted = Cast<to = 1>(index)
    axes = Constant<value_ints = [1, 2]>()
    column = Unsqueeze(shifted, axes)
    sum = Add(scaled, column)
    y = Relu(sum)
}}
"""
ONE = """
<ir_version: 9, opset_import: ["" : 20]>
g (float[n,6] x) => (float[n,6] y) { y = Relu(x) }
"""


@pytest.fixture
def two(tmp_path):
    weights = np.random.default_rng(0).standard_normal(24).astype(np.float32)
    path = tmp_path / "two.onnx"
    onnx.save(onnx.parser.parse_model(TWO.format(weights=", ".join(map(str, weights)))), path)
    return path


@pytest.fixture
def one(tmp_path):
    path = tmp_path / "one.onnx"
    onnx.save(onnx.parser.parse_model(ONE), path)
    return path


def arrays(count: int, *, stacked: bool):
    generator = np.random.default_rng(1)
    lead = (count,) if stacked else ()
    return {
        "x": generator.standard_normal((*(lead or (1,)), 4, 8)).astype(np.float32),
        "index": np.arange(count if stacked else 1),
        "scale": np.full(lead, 0.5, np.float32),
    }


def read(place, model):
    return ArraySamples(place, load(model), str(model))


def test_one_file_holds_samples_along_its_first_axes(two, tmp_path):
    np.savez(tmp_path / "calib.npz", **arrays(5, stacked=True))
    samples = read(tmp_path / "calib.npz", two)
    assert len(samples) == 5
    shapes = {name: array.shape for name, array in samples[3].items()}
    assert shapes == {"x": (1, 4, 8), "index": (1,), "scale": ()}
    assert samples[3]["index"].tolist() == [3]


def test_a_folder_holds_a_sample_a_file(two, tmp_path):
    folder = tmp_path / "calib"
    folder.mkdir()
    for number in range(3):
        np.savez(folder / f"{number}.npz", **arrays(1, stacked=False))
    samples = read(folder, two)
    assert len(samples) == 3
    assert len(samples[:2]) == 2
    assert samples[0]["scale"].shape == ()


def test_an_npy_is_the_one_input_and_may_lack_the_batch(one, tmp_path):
    folder = tmp_path / "calib"
    folder.mkdir()
    np.save(folder / "0.npy", np.ones(6))
    np.save(folder / "1.npy", np.ones((1, 6), np.float32))
    samples = samples_of(load(one), str(one), folder, None)
    assert [sample["x"].shape for sample in samples] == [(1, 6), (1, 6)]
    assert {sample["x"].dtype for sample in samples} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"y": np.ones((1, 6))}, r"it has y; the inputs are x"),
        ({"x": np.ones((1, 7))}, r"'x' is \[1, 7\], and the input takes \[\?, 6\]"),
        ({"x": np.ones((1, 6), np.complex64)}, r"'x' is complex64, and the input takes float32"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_file(one, tmp_path, saved, message):
    folder = tmp_path / "calib"
    folder.mkdir()
    np.savez(folder / "0.npz", **saved)
    with pytest.raises(DataError, match=message) as refused:
        read(folder, one)[0]
    assert refused.value.where == str(folder / "0.npz")


def test_different_numbers_of_samples_are_refused(two, tmp_path):
    saved = arrays(5, stacked=True)
    saved["index"] = saved["index"][:4]
    np.savez(tmp_path / "calib.npz", **saved)
    with pytest.raises(DataError, match="samples in different numbers: 5 of 'x', 4 of 'index'"):
        read(tmp_path / "calib.npz", two)


def test_an_array_with_pickles_in_it_is_refused(one, tmp_path):
    np.save(tmp_path / "calib.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"calib\.npy: not an \.npy file of an array"):
        read(tmp_path / "calib.npy", one)


@pytest.mark.parametrize("target", ["ort-int8", "ov-int8"])
def test_a_network_of_several_inputs_is_calibrated_and_verified(two, tmp_path, target):
    pytest.importorskip("openvino" if target == "ov-int8" else "onnxruntime")
    np.savez(tmp_path / "calib.npz", **arrays(12, stacked=True))
    artefact = lprc.compile(two, target, out=tmp_path / "out", calibration=tmp_path / "calib.npz")
    assert artefact.manifest["calibration"]["samples"] == 12
    lowered = onnx.load(tmp_path / "out" / "lowered.onnx")
    assert "QuantizeLinear" in [node.op_type for node in lowered.graph.node]
