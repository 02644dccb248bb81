"""Every command takes relative paths, as all of the documentation's are, in any folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from processes import run_lprc

from lprc.core.process.installed import is_installed

ROOT = Path(__file__).parents[2]
TARGETS = {
    "onnx": "onnx",
    "ort-fp32": "onnxruntime",
    "ov-fp32": "openvino",
    "torchscript-fp32": "torch",
    "tvm-fp32": "tvm",
    "trt-fp32": "tensorrt_rtx",
}


@pytest.fixture
def folder(tmp_path, small) -> Path:
    """A user's folder; models and data lie in ``in``."""
    inputs = tmp_path / "user" / "in"
    inputs.mkdir(parents=True)
    shutil.copy(small, inputs / "small.onnx")
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    np.savez(inputs / "x.npz", x=x)
    return inputs.parent


@pytest.fixture
def user(folder):
    """Run a command line, words as text, in the user's folder."""

    def call(text: str, *more: str, code: int = 0) -> str:
        done = run_lprc(*text.split(), *more, cwd=folder)
        assert done.returncode == code, done.stderr
        return done.stdout

    return call


@pytest.mark.parametrize("target", TARGETS)
def test_compile_and_what_reads_an_artefact(folder, user, target):
    if not is_installed(TARGETS[target]):
        pytest.skip(f"{TARGETS[target]} is not installed")
    options = ["-O", "tuning-db=build/records"] if target.startswith("tvm") else []
    user(f"compile in/small.onnx --target {target} -o build/out --depfile build.d -q", *options)
    assert (folder / "build" / "out" / "manifest.json").is_file()
    assert "in/small.onnx" in (folder / "build.d").read_text()
    user("verify build/out")
    user("sbom build/out -o sbom.json")
    if target == "trt-fp32":
        user("compile in/small.onnx --target trt-fp32 --emit kit -o build/kit -q")
        return
    user("verify build/out --numerics --inputs in/x.npz")
    if not target.startswith("tvm"):  # its records may be others by then
        user("verify build/out --reproduce --source in/small.onnx")
    assert json.loads(user("bench build/out in/small.onnx --rounds 1 --json"))
    if target.startswith("tvm"):
        assert (folder / "build" / "records").is_dir()


def test_what_reads_images(folder, user):
    for name, count in (("calib", 4), ("test", 4)):
        source, copy = ROOT / "models" / "synthetic_plates" / name, folder / "in" / name
        copy.mkdir()
        lines = (source / "labels.csv").read_text().splitlines()[: count + 1]
        (copy / "labels.csv").write_text("\n".join(lines) + "\n")
        for line in lines[1:]:
            shutil.copy(source / line.partition(",")[0], copy)
    shutil.copy(ROOT / "models" / "lprnet_synthetic.onnx", folder / "in" / "net.onnx")
    shutil.copy(ROOT / "models" / "synthetic.toml", folder / "in" / "mine.toml")
    user(
        "compile in/net.onnx --target ort-fp32 -o build/out --calib in/calib --data in/test"
        " --plates in/mine.toml --report page.html --dump-dir build/steps --verify each -q"
    )
    assert (folder / "page.html").is_file()
    assert json.loads(user("eval build/out --data in/test --plates in/mine.toml --json"))
    user("verify build/out --reproduce --source in/net.onnx --calib in/calib")
    words = "sweep in/net.onnx --target onnx --calib in/calib -o build/sweep -q --values 20,21"
    user(words, "--passes", "fold-bn,convert-opset{version={}}")
    assert (folder / "build" / "sweep").is_dir()


def test_commands_on_models(folder, user):
    user("opt in/small.onnx --passes fold-bn -o folded.onnx --inputs in/x.npz --dump-dir steps -q")
    user("diff in/small.onnx folded.onnx --html diff.html", code=1)
    assert (folder / "diff.html").is_file()
    user("inspect folded.onnx")
    user("compile folded.onnx --target ort-fp32 -o build/out -q")
    user("explain build/out y")
    user("embed build/out -o net.c")
    assert (folder / "net.c").is_file()


def test_a_reproducer(folder, user):
    passes = ("--passes", "fold-bn", "--check", "grep -q mean {}")
    user("bisect in/small.onnx --inputs in/x.npz -o build/repro", *passes)
    user("bisect --replay build/repro", code=5)
