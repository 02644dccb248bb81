"""The zoo's judge: what is right, wrong, refused or internal, and what the page says of it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCALE = """<ir_version: 9, opset_import: ["" : 20]>
g (float[1,3,8,8] image) => (float[1,3,8,8] y)
<float[3,1,1] w = {1, 2, 3}> { z = Identity(image) y = Mul(z, w) }"""


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def module(name: str):
    return importlib.import_module(f"_zoo.{name}")


def test_equal_outputs_are_exact_and_integers_are_counted():
    outputs = [{"y": np.ones((1, 4), np.float32), "i": np.arange(4)}]
    assert module("verdict").distance(outputs, outputs) == {
        "snr_db": 1000.0, "error": 0.0, "integers": 1.0,
    }  # fmt: skip
    other = [{"y": np.array([[1, 1, 1, 1.1]], np.float32), "i": np.array([0, 1, 2, 2])}]
    document = module("verdict").distance(outputs, other)
    assert document["snr_db"] == pytest.approx(26.02, abs=0.01)
    assert document["error"] == pytest.approx(0.1, rel=1e-4)
    assert document["integers"] == 0.75


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({}, "'y' is missing"),
        ({"y": np.ones((1, 5), np.float32)}, r"\(1, 5\) instead of \(1, 4\)"),
        ({"y": np.array([[1, 1, 1, np.nan]], np.float32)}, "not finite"),
    ],
)
def test_outputs_that_cannot_be_compared_are_wrong(outputs, problem):
    document = module("verdict").distance([{"y": np.ones((1, 4), np.float32)}], [outputs])
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(document["problem"])
    assert module("cell").judge(document, "lossy") == "wrong"


@pytest.mark.parametrize(
    ("kind", "verdict", "status"),
    [
        ("exact", {"error": 1e-3}, "ok"),
        ("exact", {"error": 1e-2}, "wrong"),
        ("exact", {"error": 1e-2, "rounding": 0.02}, "ok"),
        ("exact", {"error": 0.0, "integers": 0.9}, "wrong"),
        ("approximate", {"error": 1e-2}, "ok"),
        ("approximate", {"error": 0.2}, "wrong"),
        ("int8", {"snr_db": 12.0}, "ok"),
        ("int8", {"snr_db": 3.0}, "wrong"),
        ("int8", {"snr_db": 3.0, "warnings": ["not run: no GPU"]}, "wrong"),
        ("int8", {"snr_db": 3.0, "warnings": ["y: 3.0 dB"]}, "ok"),
        ("lossy", {"snr_db": -3.0}, "ok"),
    ],
)
def test_how_far_outputs_may_be(kind, verdict, status):
    whole = {"snr_db": 1000.0, "error": 0.0, "integers": 1.0, "warnings": [], **verdict}
    assert module("cell").judge(whole, kind) == status


def network(folder: Path, text: str = SCALE) -> Path:
    path = folder / "scale.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    module("inputs").write_inputs(path, {"image": module("inputs").Input((1, 3, 8, 8))})
    return path


def test_a_cell_runs_elsewhere_and_is_judged(tmp_path):
    columns = module("columns").COLUMNS
    cell = module("cell").run_cell(network(tmp_path), columns["onnx"], tmp_path / "samples", 120)
    assert (cell["status"], cell["code"], cell["nodes"]) == ("ok", 0, 1)
    assert len(list((tmp_path / "samples" / "scale" / "calibration").glob("*.npz"))) == 16


def test_a_cell_ends_at_its_limit(tmp_path):
    columns = module("columns").COLUMNS
    cell = module("cell").run_cell(network(tmp_path), columns["onnx"], tmp_path / "samples", 0.01)
    assert cell["status"] == "timeout"


def test_a_refusal_is_one_line_with_its_hint(tmp_path):
    path = network(tmp_path)
    path.write_bytes(b"not ONNX")
    columns = module("columns").COLUMNS
    cell = module("cell").run_cell(path, columns["onnx"], tmp_path / "samples", 120)
    assert (cell["status"], cell["code"]) == ("refused", 3)
    assert cell["message"].startswith("error: ")


@pytest.mark.parametrize(
    ("code", "errors", "status"),
    [
        (70, "error: x", "internal"),
        (-11, "", "internal"),
        (4, "Traceback (most recent call last)\n", "internal"),
        (4, "error: x", "refused"),
        (None, "", "timeout"),
    ],
)
def test_what_a_failure_is(code, errors, status):
    ended = module("forked").Ended(code, "", errors)
    assert module("cell")._failure(ended, module("columns").COLUMNS["onnx"]) == status


def test_smooth_inputs_are_smooth_seeded_and_of_unit_size():
    smooth = module("inputs").smooth
    image = smooth((1, 3, 64, 64), np.random.default_rng(0))
    assert image.dtype == np.float32
    assert 0.4 < image.std() < 1.6
    assert np.abs(np.diff(image, axis=-1)).mean() < 0.3 * image.std()
    assert np.array_equal(image, smooth((1, 3, 64, 64), np.random.default_rng(0)))


def test_results_go_on_where_they_were_left(tmp_path):
    path = tmp_path / "results.jsonl"
    results = module("results").Results(path)
    results.add({"network": "a", "column": "onnx", "status": "refused"})
    results.add({"network": "a", "column": "onnx", "status": "ok"})
    again = module("results").Results(path)
    assert again.has("a", "onnx")
    assert [cell["status"] for cell in again.cells()] == ["ok"]
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2


def test_the_page_counts_names_and_compares():
    cells = [
        {"network": "a", "column": "onnx", "status": "ok", "seconds": 2.0, "nodes": 5},
        {"network": "a", "column": "onnxsim", "status": "ok", "seconds": 1, "nodes": 4, "error": 0},
        {"network": "a", "column": "ov-int8", "status": "ok", "seconds": 3.0, "snr_db": 20.0},
        {
            "network": "a", "column": "trt-int8", "status": "ok", "seconds": 3.0, "snr_db": 4.0,
            "warnings": ["output 'y' has 4.0 dB"],
        },
        {"network": "a", "column": "NNCF", "status": "ok", "seconds": 3.0, "snr_db": 21.0},
        {
            "network": "b", "column": "onnx", "status": "refused", "seconds": 1.0,
            "message": "error: /some/where/b.onnx: no",
        },
    ]  # fmt: skip
    page = module("table").page(cells)
    assert "| onnx | 2 | 1 | 0 | 1 | 0 | 0 | 0 | 0 | 1.5 |" in page
    assert "| trt-int8 | 1 | 1 | 1 |" in page
    assert "⚠ 3.0" in page
    assert "- **a** (1: b × onnx): error: b.onnx: no" in page
    assert "ov-int8 is at least as good as NNCF on 0 of 1 networks" in page
    assert "| a | 5 | 4 |  | more |" in page


def test_networks_of_torch_are_exported_once(tmp_path):
    pytest.importorskip("torch")
    sequence = module("sequence_networks")
    table = [each for each in sequence.networks() if each.name == "table"]
    lines = list(module("export").export_all(table, tmp_path))
    assert [line.partition(":")[0] for line in lines] == [
        "table-dynamo.onnx", "table-script-dynamic.onnx",
    ]  # fmt: skip
    assert "not exported" not in " ".join(lines)
    assert list(module("export").export_all(table, tmp_path)) == []
    assert set(module("inputs").read_inputs(tmp_path / "table-dynamo.onnx")) == {"row"}


def test_what_is_not_installed_or_there_is_said(tmp_path, monkeypatch):
    build = module("build")
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    lines = list(build.build(tmp_path / "models", tmp_path / "wheels"))
    assert any("torchvision is not installed: pip install 'lprc[zoo]'" in line for line in lines)
    assert any(line.startswith("silero_vad-6.2.3: not in ") for line in lines)
