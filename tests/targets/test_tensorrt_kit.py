"""A kit holds all that builds the engine on the device and checks it, and needs no SDK to make."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from engines import SMALL, emitted, layers, saved

from lprc.compiler.compile.calibration import ImageSamples
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.onnx_io.model_io import load
from lprc.core.running.numerics import Session
from lprc.core.tasks.task_file import task_choice
from lprc.targets import tensorrt_scripts

SCRIPTS = {path.name for path in Path(tensorrt_scripts.__path__[0]).glob("*.py")} - {"__init__.py"}


@pytest.fixture
def kit(tmp_path):
    def make(*replacements, target="trt-fp32", inputs=None, **options):
        out = tmp_path / "kit"
        compile_model(
            compile_request(
                saved(SMALL, tmp_path / "m.onnx", *replacements),
                target,
                out,
                passes="",
                emit="kit",
                options={key.replace("_", "-"): (value,) for key, value in options.items()},
                verify="off",
                inputs=inputs,
            )
        )
        return out

    return make


def reference(folder):
    """The stored inputs and outputs by name."""
    with np.load(folder / "reference.npz", allow_pickle=False) as archive:
        stored = {name: archive[name] for name in archive.files}
    kinds = {name.partition(":")[0] for name in stored}
    assert kinds == {"input", "output"}
    return [
        {name.partition(":")[2]: array for name, array in stored.items() if name.startswith(kind)}
        for kind in ("input:", "output:")
    ]


def test_what_is_in_it(kit):
    folder = kit()
    assert {path.name for path in folder.iterdir()} == {
        "README.txt",
        "SHA256SUMS",
        "build.json",
        "lowered.onnx",
        "manifest.json",
        "passes.json",
        "reference.npz",
        *SCRIPTS,
    }
    assert {"build_engine.py", "run_engine.py"} <= SCRIPTS
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["deployed"] == []
    assert set(manifest["files"]) == {path.name for path in folder.iterdir()} - {"manifest.json"}


def test_the_checksums(kit):
    folder = kit()
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
    named = {line.split()[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert named == {path.name for path in folder.iterdir()} - {"SHA256SUMS", "manifest.json"}
    (folder / "lowered.onnx").write_bytes(b"other")
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 1


def test_the_vendors_command(kit):
    folder = kit(batch="1/2/4", workspace="64")
    line = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["emitter"]["trtexec"]
    assert shlex.split(line) == [
        "trtexec",
        "--onnx=lowered.onnx",
        "--saveEngine=model.engine",
        "--stronglyTyped",
        "--profilingVerbosity=detailed",
        "--exportLayerInfo=layers.json",
        "--minShapes=x:1x4x8x8",
        "--optShapes=x:2x4x8x8",
        "--maxShapes=x:4x4x8x8",
        "--memPoolSize=workspace:64",
    ]
    readme = (folder / "README.txt").read_text(encoding="utf-8")
    assert f"    {line}\n" in readme
    assert "sha256sum --check SHA256SUMS" in readme
    assert "--tolerance 0.001" in readme


def test_a_static_graph_needs_no_shapes(kit):
    folder = kit(("float[N,4,8,8] x", "float[2,4,8,8] x"), ("float[N,4,8,8] y", "float[2,4,8,8] y"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert "Shapes" not in manifest["emitter"]["trtexec"]
    inputs, _ = reference(folder)
    assert inputs["x"].shape == (2, 4, 8, 8)


def test_names_that_a_shell_would_take_apart(kit):
    folder = kit()
    model = onnx.load(folder.parent / "m.onnx")
    model.graph.input[0].name = model.graph.node[0].input[0] = "my image;"
    onnx.save(model, folder.parent / "n.onnx")
    report = emitted(folder.parent / "n.onnx", "trt-fp32", folder, emit="kit").emitted.report
    assert "--minShapes=my image;:1x4x8x8" in shlex.split(report["trtexec"])


@pytest.mark.parametrize(
    ("options", "batch"),
    [({}, 3), ({"batch": "1/1/2"}, 2), ({"batch": "4/4/8"}, 4), ({"batch": "1/1/1"}, 1)],
)
def test_the_reference_is_of_a_size_that_the_engine_takes(kit, options, batch):
    """Or the check on the device would fail for it."""
    generator = np.random.default_rng(0)
    samples = [{"x": generator.standard_normal((1, 4, 8, 8), np.float32)} for _ in range(3)]
    inputs, _ = reference(kit(inputs=samples, **options))
    assert inputs["x"].shape[0] == batch
    for row in range(batch):
        np.testing.assert_array_equal(inputs["x"][row], samples[row % 3]["x"][0])


def test_the_reference_of_other_symbolic_dimensions(kit):
    folder = kit(
        ("float[N,4,8,8] x", "float[N,4,H,W] x"),
        ("float[N,4,8,8] y", "float[N,4,H,W] y"),
        profile="x:1x4x16x8/2x4x32x8/2x4x32x32",
    )
    inputs, outputs = reference(folder)
    assert inputs["x"].shape == outputs["y"].shape == (2, 4, 32, 8)


def test_the_reference_is_what_onnx_runtime_gives(kit):
    folder = kit()
    inputs, outputs = reference(folder)
    found = Session((folder / "lowered.onnx").read_bytes()).run(inputs)
    assert set(found) == set(outputs) == {"y"}
    np.testing.assert_array_equal(found["y"], outputs["y"])


def test_real_plates(lprnet_onnx, lprnet_data, lowered, tmp_path):
    samples = ImageSamples(
        lprnet_data / "calib", task_choice("lprnet"), load(lprnet_onnx), str(lprnet_onnx)
    )
    compile_model(
        compile_request(
            lowered("lprnet_onnx", "trt-int8"),
            "trt-int8",
            tmp_path / "kit",
            passes="",
            emit="kit",
            verify="off",
            inputs=samples[:12],
        )
    )
    inputs, outputs = reference(tmp_path / "kit")
    np.testing.assert_array_equal(
        inputs["image"], np.concatenate([sample["image"] for sample in samples[:8]])
    )
    assert len({array.tobytes() for array in outputs["logits"]}) == 8


def test_the_same_bytes_each_time(kit, tmp_path):
    first = {path.name: path.read_bytes() for path in kit().iterdir()}
    (tmp_path / "kit").rename(tmp_path / "earlier")
    assert {path.name: path.read_bytes() for path in kit().iterdir()} == first


ALONE = """
import runpy, sys
from pathlib import Path
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("lprc", "onnx", "onnx_ir"):
            raise ImportError(f"{name} is asked for")
sys.meta_path.insert(0, Refuse())
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))  # as Python does for a script
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("options", [[], ["-I"]])
def test_the_kit_builds_the_engine_without_lprc(kit, tmp_path, options, monkeypatch):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    folder = kit(batch="1/2/4")
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, *options, "-c", ALONE, folder / "build_engine.py", folder / "build.json"],
        cwd=tmp_path / "elsewhere",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    size = (folder / "model.engine").stat().st_size
    assert done.stdout == f"model.engine: {size} bytes, {len(layers(folder))} layers\n"
    assert any("conv" in layer["nodes"] for layer in layers(folder))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_settings_are_found_in_the_folder(kit):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    folder = kit()
    done = subprocess.run(
        [sys.executable, "build_engine.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "model.engine").is_file()


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda folder: (folder / "build.json").unlink(), 2, "build.json: "),
        (lambda folder: (folder / "build.json").write_text("{"), 2, "build.json: "),
        (lambda folder: (folder / "lowered.onnx").unlink(), 1, "lowered.onnx"),
        (lambda folder: (folder / "lowered.onnx").write_bytes(b"x" * 99), 1, "lowered.onnx: "),
    ],
    ids=["no-settings", "no-json", "no-model", "no-onnx"],
)
def test_what_is_wrong_with_a_kit_is_said(kit, change, code, message):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    folder = kit()
    change(folder)
    done = subprocess.run(
        [sys.executable, "build_engine.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "model.engine").exists()
