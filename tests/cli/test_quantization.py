"""INT8 on the command line: targets, sensitivity, accuracy on demand, guard, quantised models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

CALIB = Path(__file__).parents[2] / "models" / "synthetic_plates" / "calib"


def compile_(lprc, model, target, out, *options, check=True):
    return lprc(
        "compile", model, "--target", target, "-o", out, "--calib", CALIB,
        "--task", "synthetic", *options, check=check,
    )  # fmt: skip


@pytest.mark.parametrize("target", ["onnx-qdq", "ort-int8", "ov-int8", "ov-int8-fp16"])
def test_the_bundled_model_in_int8_keeps_its_accuracy(lprc, bundled, plates, tmp_path, target):
    out = tmp_path / "out"
    document = json.loads(compile_(lprc, bundled, target, out, "--data", plates, "--json").stdout)
    before, after = (row["accuracy"] for row in document["comparison"])
    assert after >= before - 0.02
    assert document["bytes"] < 0.5 * bundled.stat().st_size
    types = [node.op_type for node in onnx.load(out / "lowered.onnx").graph.node]
    assert types.count("QuantizeLinear") >= 10


def test_tensorrt_int8_is_lowered_without_tensorrt(lprc, bundled, tmp_path):
    out = tmp_path / "out"
    compile_(lprc, bundled, "trt-int8", out, "--emit", "onnx")
    graph = onnx.load(out / "lowered.onnx").graph
    zeros = [
        onnx.numpy_helper.to_array(each)
        for each in graph.initializer
        if each.name.endswith("_zero_point")
    ]
    assert zeros
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)


def test_the_same_bytes_twice(lprc, bundled, tmp_path):
    for name in ("one", "two"):
        compile_(lprc, bundled, "ov-int8", tmp_path / name, "-q", "--verify", "off")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_no_calibration_data(lprc, bundled, tmp_path):
    done = lprc("compile", bundled, "--target", "ov-int8", "-o", tmp_path / "out", check=False)
    assert done.returncode == 8
    assert "calibration data are needed" in done.stderr
    assert "--calib DIR" in done.stderr
    assert not (tmp_path / "out").exists()


def test_too_few_images(lprc, bundled, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(CALIB.glob("*.jpg"))[:3]:
        (few / path.name).write_bytes(path.read_bytes())
    done = lprc(
        "compile", bundled, "--target", "ov-int8", "-o", tmp_path / "out",
        "--calib", few, "--task", "synthetic", check=False,
    )  # fmt: skip
    assert done.returncode == 8
    assert "3 calibration samples are too few" in done.stderr


def test_an_unreadable_image(lprc, bundled, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for path in sorted(CALIB.glob("*.jpg"))[:9]:
        (images / path.name).write_bytes(path.read_bytes())
    (images / "zz_broken.jpg").write_bytes(b"not an image")
    done = lprc(
        "compile", bundled, "--target", "ov-int8", "-o", tmp_path / "out",
        "--calib", images, "--task", "synthetic", check=False,
    )  # fmt: skip
    assert done.returncode == 8
    assert "zz_broken.jpg" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_quantised_model_is_refused_or_kept(lprc, bundled, tmp_path):
    compile_(lprc, bundled, "ort-int8", tmp_path / "int8", "--verify", "off")
    model = tmp_path / "int8" / "model.onnx"
    done = compile_(lprc, model, "ov-int8", tmp_path / "again", check=False)
    assert done.returncode == 3
    assert "quantised already: QDQ" in done.stderr
    assert "--quantized keep" in done.stderr
    assert not (tmp_path / "again").exists()
    # Without calibration data: nothing needs them.
    lprc("compile", model, "--target", "ort-int8", "-o", tmp_path / "kept", "--quantized", "keep")
    pipeline = json.loads((tmp_path / "kept" / "manifest.json").read_text())["pipeline"]
    assert "insert-qdq" not in pipeline
    before, after = (
        sum(node.op_type == "QuantizeLinear" for node in onnx.load(path).graph.node)
        for path in (model, tmp_path / "kept" / "model.onnx")
    )
    assert before == after > 10


def test_sensitivity(lprc, bundled):
    arguments = ("sensitivity", bundled, "--calib", CALIB, "--task", "synthetic")
    layers = json.loads(lprc(*arguments, "--json").stdout)
    ratios = [layer["snr_db"] for layer in layers]
    assert len(layers) == 16
    assert ratios == sorted(ratios)
    assert all(layer["origins"] for layer in layers)
    text = lprc(*arguments).stdout
    assert layers[0]["node"] in text
    assert "█" in text


def test_accuracy_on_demand_is_in_the_manifest(lprc, bundled, tmp_path):
    out = tmp_path / "out"
    done = compile_(lprc, bundled, "onnx-qdq", out, "--max-accuracy-drop", "0", "--verify", "off")
    found = json.loads((out / "manifest.json").read_text())["accuracy_search"]
    assert found["metric"] == "agreement with float32"
    assert found["score"] >= found["wanted"] == found["reference"] == 1.0
    assert "agreement with float32: 1.0000 in float" in done.stdout
    assert found["trials"][0]["score"] < 1.0, "otherwise there was nothing to search for"
    pipeline = json.loads((out / "manifest.json").read_text())["pipeline"]
    assert f"exclude={','.join(found['excluded'])}" in pipeline


def test_accuracy_on_demand_needs_data(lprc, bundled, tmp_path):
    done = lprc(
        "compile", bundled, "--target", "ort-int8", "-o", tmp_path / "out",
        "--max-accuracy-drop", "0.01", check=False,
    )  # fmt: skip
    assert done.returncode == 8
    assert "--max-accuracy-drop" in done.stderr


def test_the_guard_needs_a_float_counterpart(lprc, bundled, tmp_path):
    for target, option, word in (
        ("ov-fp32", (), "counterpart"),
        ("ov-int8", ("--emit", "onnx"), "engine"),
    ):
        done = compile_(lprc, bundled, target, tmp_path / "out", "--guard", *option, check=False)
        assert done.returncode == 2
        assert word in done.stderr


def test_accuracy_on_labels_chooses_the_alphabet_by_the_model(lprc, bundled, plates, tmp_path):
    out = tmp_path / "out"
    lprc(
        "compile", bundled, "--target", "ort-int8", "-o", out, "--calib", CALIB, "--data", plates,
        "--max-accuracy-drop", "0.05", "--verify", "off",
    )  # fmt: skip
    found = json.loads((out / "manifest.json").read_text())["accuracy_search"]
    assert found["metric"] == "plate accuracy"
    assert found["reference"] > 0.95


def test_accuracy_on_labels_needs_a_task(lprc, plates, tmp_path):
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[N,4] x) => (float[N,2] y) <float[4,2] w = {1,2,3,4,5,6,7,8}> { y = MatMul(x, w) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    done = lprc(
        "compile", tmp_path / "m.onnx", "--target", "onnx-qdq", "-o", tmp_path / "out",
        "--passes", "insert-qdq", "--data", plates, "--max-accuracy-drop", "0.05", check=False,
    )  # fmt: skip
    assert done.returncode == 8
    assert "nothing tells what a model is for that has inputs 'x' [?, 4]" in done.stderr
