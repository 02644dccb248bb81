"""``--calib`` takes files of arrays, which count as inputs of a compile and of a build."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from lprc.compiler.cache.input_files import input_files

TEXT = """
<ir_version: 9, opset_import: ["" : 20]>
g (float[n,4] x) => (float[n,2] y)
<float[4,2] w = {1, -2, 3, 4, -5, 6, 7, 8}> { product = MatMul(x, w) y = Relu(product) }
"""


@pytest.fixture
def model(tmp_path, monkeypatch):
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "m.onnx")
    save(tmp_path / "calib.npz", 12)
    return tmp_path / "m.onnx"


def save(path, count):
    np.savez(path, x=np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32))


def samples(out):
    return json.loads((out / "manifest.json").read_text())["calibration"]["samples"]


def test_a_file_of_arrays_calibrates_and_is_among_the_inputs(lprc, model, tmp_path):
    out, calib = tmp_path / "out", tmp_path / "calib.npz"
    command = ["compile", model, "--target", "ort-int8", "-o", out, "--calib", calib]
    lprc(*command, "--depfile", tmp_path / "out.d")
    assert samples(out) == 12
    assert str(calib) in (tmp_path / "out.d").read_text()
    assert input_files(model, calib=calib).calibration == (calib,)
    save(calib, 11)
    lprc(*command)
    assert samples(out) == 11


def test_a_build_is_stale_once_the_file_changed(lprc, model, tmp_path):
    (tmp_path / "lprc.toml").write_text(
        '[model.m]\nfile = "m.onnx"\ncalib = "calib.npz"\n'
        '[build.int8]\nmodel = "m"\ntarget = "ort-int8"\nout = "out"\n'
    )
    project = ["build", "--project", tmp_path / "lprc.toml"]
    lprc(*project)
    assert samples(tmp_path / "out") == 12
    assert "fresh" in lprc(*project, "--dry-run").stdout
    save(tmp_path / "calib.npz", 11)
    assert "stale" in lprc(*project, "--dry-run").stdout


def test_the_hint_for_images_says_what_else_there_is(lprc, model, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    done = lprc("compile", model, "--target", "ort-int8", "-o", tmp_path / "out",
                "--calib", folder, check=False)  # fmt: skip
    assert done.returncode != 0
    assert ".npz" in done.stderr
