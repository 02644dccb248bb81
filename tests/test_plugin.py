"""examples/plugin, installed as a user would, adds its pass, its targets, its runtime and its task."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Its folder of packages, from a copy: building would leave files in the source."""
    source, packages = tmp_path_factory.mktemp("source") / "p", tmp_path_factory.mktemp("packages")
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", packages, source], check=True, capture_output=True)
    return packages


@pytest.fixture(scope="module")
def run(installed):
    def python(*arguments: str | Path) -> str:
        command = [sys.executable, "-m", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return python


def test_it_is_listed_and_documented(run):
    assert "merge-relu" in run("lprc", "passes")
    assert "whether to remove a Relu of a Sigmoid too" in run("lprc", "passes", "merge-relu")
    assert "stripped-onnx" in run("lprc", "targets")
    assert "keep the names of nodes" in run("lprc", "targets", "stripped-onnx")


@pytest.mark.parametrize("options", [[], ["-O", "keep-names=true"]])
def test_the_target_compiles_and_runs(run, bundled, tmp_path, options):
    import onnx

    out = tmp_path / "out"
    run("lprc", "compile", bundled, "--target", "stripped-onnx", "-o", out, "-q", *options)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["target"] == "stripped-onnx"
    assert "merge-relu" in manifest["pipeline"]
    assert manifest["emitter"]["stripped_bytes"] > 0
    model = onnx.load(out / "model.onnx")
    assert any(node.name for node in model.graph.node) == bool(options)
    run("lprc", "verify", out, "--numerics")


@pytest.fixture
def small(tmp_path):
    import onnx

    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[N,2] x) => (float[N,2] y) { a = Relu(x) b = Relu(a) y = Neg(b) }"""
    path = tmp_path / "small.onnx"
    onnx.save(onnx.parser.parse_model(text), path)
    return path


def test_the_runtime_runs_an_artefact_and_files(run, small, tmp_path):
    out = tmp_path / "out"
    assert "onnx-reference" in run("lprc", "runtimes")
    assert "opens: nothing, where no runtime is named" in run("lprc", "runtimes", "onnx-reference")
    run("lprc", "compile", small, "--target", "stripped-onnx-reference", "-o", out, "-q")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["runtime"] == "onnx-reference"
    assert [(each["output"], each["max_abs"]) for each in manifest["artefact"]] == [("y", 0.0)]
    run("lprc", "verify", out, "--numerics")
    measured = run("lprc", "bench", out, f"{small}@ort", f"{small}@onnx-reference", "--json",
                   "--rounds", "3")  # fmt: skip
    backends = [row["backend"] for row in json.loads(measured)]
    assert backends == ["onnx-reference", "ort", "onnx-reference"]


def test_the_runtime_reads_plates(run, bundled, plates, tmp_path):
    few = tmp_path / "plates"
    few.mkdir()
    head, *rows = (plates / "labels.csv").read_text("utf-8").splitlines()[:4]
    (few / "labels.csv").write_text("\n".join([head, *rows]) + "\n", "utf-8")
    for row in rows:
        shutil.copy(plates / row.partition(",")[0], few)
    scores = [
        json.loads(run("lprc", "eval", f"{bundled}@{name}", "--data", few, "--json"))["accuracy"]
        for name in ("onnx-reference", "ort")
    ]
    assert scores[0] == scores[1]


def test_the_task_is_written_and_judges(run, tmp_path):
    import onnx
    from PIL import Image

    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[N,3,4,4] x) => (float[N,1] y) <int64[3] axes = {1,2,3}, float ten = {10}> {
        a = ReduceMean<keepdims=0>(x, axes) b = Unsqueeze(a, one) y = Mul(b, ten)
    }""".replace("float ten", "int64[1] one = {1}, float ten")
    model = tmp_path / "turned.onnx"
    onnx.save(onnx.parser.parse_model(text), model)
    (tmp_path / "data").mkdir()
    for name, value in (("10-a.png", 255), ("0-b.png", 0), ("90-c.png", 0)):
        Image.new("RGB", (4, 4), (value,) * 3).save(tmp_path / "data" / name)
    task = tmp_path / "task.toml"
    assert "image-angle" in run("lprc", "task", "list")
    run("lprc", "task", "new", model, "--like", "image-angle", "-o", task)
    said = run("lprc", "eval", model, "--data", tmp_path / "data", "--task", task)
    assert "share within tolerance 0.6667 (" in said
    assert "2 of 3 images" in said


def test_its_own_tests_pass(run):
    out = run("pytest", "-q", "-p", "no:cacheprovider", "--rootdir", EXAMPLE, EXAMPLE / "tests")
    assert "4 passed" in out
