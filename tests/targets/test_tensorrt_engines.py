"""Engines of LPRNet for every precision and GPU, built by TensorRT-RTX without a GPU."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from engines import TARGETS, emitted, layers, types

from lprc.compiler.artifact.artifact import open_artifact

pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")

GPUS = ["80", "86", "89", "120", "auto"]
INT8 = ("trt-int8", "trt-int8-fp16")
FLOAT = {"trt-fp32": "Float", "trt-fp16": "Half", "trt-int8": "Float", "trt-int8-fp16": "Half"}


def check(out, compiled, target):
    """Precision by the layers and by the manifest, and that both are of one engine."""
    document = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    report = document["emitter"]
    assert report == compiled.emitted.report
    assert document["deployed"] == ["model.engine"]
    assert set(document["files"]) == {
        "layers.json", "lowered.onnx", "model.engine", "passes.json",
    }  # fmt: skip
    engine = (out / "model.engine").read_bytes()
    assert document["files"]["model.engine"]["sha256"] == hashlib.sha256(engine).hexdigest()
    found = layers(out)
    assert report["layers"] == len(found)
    pools = [layer for layer in found if layer["type"] == "maxpool"]
    convolutions = [layer for layer in found if layer["type"] == "correlation"]
    int8 = target in INT8
    assert report["operators"] == {
        "Conv": {"all": 16, "asked": 16 * int8, "int8": 16 * int8},
        "MaxPool": {"all": 3, "asked": 3 * int8, "int8": 3 * int8},
    }
    assert len(report["float"]) == (0 if int8 else 19)
    # What TensorRT says itself, which the report is made from.
    nodes = {node for layer in convolutions + pools for node in layer["nodes"]}
    assert len(pools) == 3
    assert all(types(layer) == {"Int8" if int8 else FLOAT[target]} for layer in pools)
    reads = {tensor["type"] for layer in convolutions for tensor in layer["inputs"]}
    assert reads == {"Int8" if int8 else FLOAT[target]}
    if int8:
        assert len(convolutions) == 16
    else:
        assert {each["node"] for each in report["float"] if each["operator"] == "MaxPool"} <= nodes


@pytest.mark.parametrize("gpu", GPUS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_static_batch(lowered, tmp_path, target, gpu):
    compiled = emitted(
        lowered("lprnet_onnx", target, batch=1), target, tmp_path / "out", compute_capability=gpu
    )
    check(tmp_path / "out", compiled, target)
    assert compiled.emitted.report["profiles"] == {}
    assert compiled.emitted.report["compute_capabilities"] == [gpu]


@pytest.mark.parametrize("gpus", [("86",), ("80", "86", "89", "120"), ("auto",)], ids="-".join)
@pytest.mark.parametrize("target", TARGETS)
def test_a_symbolic_batch(lowered, tmp_path, target, gpus):
    out = tmp_path / "out"
    compiled = emitted(
        lowered("lprnet_onnx", target), target, out, compute_capability=gpus, batch="1/4/16"
    )
    check(out, compiled, target)
    assert compiled.emitted.report["compute_capabilities"] == list(gpus)
    shapes = [[batch, 3, 24, 94] for batch in (1, 4, 16)]
    assert compiled.emitted.report["profiles"] == {"image": shapes}
    assert not [text for text in compiled.emitted.warnings if not text.startswith("not run")]


@pytest.mark.parametrize("target", TARGETS)
def test_the_bundled_model(lowered, tmp_path, target):
    compiled = emitted(lowered("bundled", target), target, tmp_path / "out")
    counts = compiled.emitted.report["operators"]
    assert all(each["int8"] == each["asked"] for each in counts.values())
    assert (counts["Conv"]["asked"] == counts["Conv"]["all"]) == (target in INT8)


def test_weights_take_a_quarter_and_half_of_float32s(lowered, tmp_path):
    sizes = {}
    for target in ("trt-fp32", "trt-fp16", "trt-int8"):
        graph = lowered("lprnet_onnx", target, batch=1)
        report = emitted(graph, target, tmp_path / target, compute_capability="86").emitted.report
        sizes[target] = report["weights_bytes"]
    assert sizes["trt-fp16"] < 0.55 * sizes["trt-fp32"]
    assert sizes["trt-int8"] < 0.35 * sizes["trt-fp32"]  # biases and scales stay in float


def test_an_engine_for_several_gpus_is_none_for_one_of_them(lowered, tmp_path):
    """TensorRT-RTX keeps one set of kernels for all; the list is in the engine, in no order."""
    graph = lowered("lprnet_onnx", "trt-fp32", batch=1)
    engines = {}
    for gpus in ("80", "120", "80-120", "120-80"):
        emitted(graph, "trt-fp32", tmp_path / gpus, compute_capability=tuple(gpus.split("-")))
        engines[gpus] = (tmp_path / gpus / "model.engine").read_bytes()
    assert engines["80-120"] == engines["120-80"]
    assert len({engines["80"], engines["120"], engines["80-120"]}) == 3


BUILD = """
import sys
from pathlib import Path
from engines import emitted
for target, graph in (built.split("=", 1) for built in sys.argv[2:]):
    emitted(Path(graph), target, Path(sys.argv[1], target), compute_capability="86")
"""


@pytest.fixture(scope="module")
def built_twice(lowered, tmp_path_factory):
    """Two folders, each with a static engine for every target from a process of its own."""
    graphs = [f"{target}={lowered('lprnet_onnx', target, batch=1)}" for target in TARGETS]
    folders = [tmp_path_factory.mktemp(name) for name in ("first", "second")]
    for folder, order in zip(folders, (graphs, graphs[::-1]), strict=True):
        done = subprocess.run(
            [sys.executable, "-c", BUILD, folder, *order],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
        )
        assert done.returncode == 0, done.stderr
    return folders


@pytest.mark.parametrize("target", TARGETS)
def test_a_static_engine_has_the_same_bytes_from_run_to_run(built_twice, target):
    """Those of a symbolic batch don't, by the vendor."""
    first, second = (
        {path.name: path.read_bytes() for path in (folder / target).iterdir()}
        for folder in built_twice
    )
    assert sorted(first) == [
        "layers.json", "lowered.onnx", "manifest.json", "model.engine", "passes.json",
    ]  # fmt: skip
    assert first == second


def test_an_artefact_is_an_engine_for_tensorrt(lowered, tmp_path):
    out = tmp_path / "out"
    emitted(lowered("bundled", "trt-fp16"), "trt-fp16", out)
    for name in (out, out / "model.engine"):
        artifact = open_artifact(name)
        assert (artifact.backend, artifact.model) == ("tensorrt", out / "model.engine")
        assert [file.name for file in artifact.files] == ["model.engine"]
