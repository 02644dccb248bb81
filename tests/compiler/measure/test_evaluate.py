"""Plates are read by models that fit them; a model that does not is named, with what it lacks."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest

from lprc.compiler.measure.evaluation import evaluate
from lprc.core.errors import DataError, LprcError
from lprc.core.tasks.task_file import task_choice

HEAD = '<ir_version: 9, opset_import: ["" : 18]>\n'


def reader(path, *, batch="N", channels=3, size="24,94", classes=34, kind="float", more=""):
    """A network with the signature of a plate reader that reads nonsense."""
    text = f"""{HEAD}g ({kind}[{batch},{channels},{size}] image{more}) =>
    ({kind}[{batch},{classes},1] y) <int64[1] axes = {{2}}> {{
        a = Conv(image, w) b = GlobalAveragePool(a) y = Squeeze(b, axes)
    }}"""
    proto = onnx.parser.parse_model(text)
    dtype = {"float16": np.float16}.get(kind, np.float32)
    weight = np.random.default_rng(0).standard_normal((classes, channels, 1, 1)).astype(dtype)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    onnx.save(proto, path)
    return path


@pytest.fixture(scope="module")
def few(plates, tmp_path_factory):
    """Five of the bundled plates."""
    folder = tmp_path_factory.mktemp("few")
    head, *lines = (plates / "labels.csv").read_text().splitlines()
    for line in lines[:5]:
        shutil.copy(plates / line.split(",")[0], folder)
    (folder / "labels.csv").write_text("\n".join([head, *lines[:5]]) + "\n")
    return folder


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_the_batch_changes_nothing(bundled, few, batch):
    calls = []
    found = evaluate(bundled, few, batch=batch, progress=lambda *call: calls.append(call))
    assert (found.total, found.task.name) == (5, "synthetic")
    assert found.document()["wrong"] == evaluate(bundled, few).document()["wrong"]
    assert calls[-1] == (5, 5)
    assert found.document()["accuracy"] == found.correct / 5


def test_a_fixed_batch_larger_than_the_data(tmp_path, few):
    fixed = evaluate(reader(tmp_path / "fixed.onnx", batch=8), few)
    free = evaluate(reader(tmp_path / "free.onnx"), few)
    assert fixed.total == len(fixed.wrong) + fixed.correct == 5
    assert fixed.document()["wrong"] == free.document()["wrong"]


@pytest.mark.parametrize(
    ("wrong", "name", "message"),
    [
        ({"size": "25,94"}, "synthetic", r"takes images of \[3, 25, 94\], not \[3, 24, 94\]"),
        ({"channels": 1}, "synthetic", r"takes images of \[1, 24, 94\], not \[3, 24, 94\]"),
        ({"classes": 35}, "synthetic", r"the output is \[1, 35, 1\], not \[N, 34, steps\]"),
        ({"size": "25,94"}, None, "nothing tells what a model is for"),
        ({"classes": 35}, None, "nothing tells what a model is for"),
        ({"channels": 1}, None, r"inputs 'image' \[\?, 1, 24, 94\] and outputs 'y'"),
    ],
)
def test_a_model_for_other_plates(tmp_path, few, wrong, name, message):
    path = reader(tmp_path / "m.onnx", **wrong)
    with pytest.raises(DataError, match=message) as caught:
        evaluate(path, few, task=task_choice(name))
    assert "--task" in (caught.value.hint or "")


def test_several_inputs(tmp_path, few):
    path = reader(tmp_path / "m.onnx", more=", float[2] scale")
    with pytest.raises(DataError, match=r"m\.onnx: has 2 inputs, of which 1 take images"):
        evaluate(path, few, task=task_choice("synthetic"))


def test_another_element_type(tmp_path, few):
    text = f"{HEAD}g (int32[N,3,24,94] image) => (int32[N,3,24,94] y) {{ y = Identity(image) }}"
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    with pytest.raises(LprcError, match=r"input 'image' is int32, and images are float32"):
        evaluate(path, few, task=task_choice("synthetic"))


def test_float16_images(tmp_path, few):
    half = evaluate(reader(tmp_path / "half.onnx", kind="float16"), few)
    assert half.total == 5


def test_no_plates(tmp_path, bundled):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        evaluate(bundled, tmp_path / "empty")
