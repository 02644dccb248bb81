"""What lies in the user's folder is never run, whatever its name is and whatever lprc starts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from processes import run, run_lprc

from lprc.core.process.installed import is_installed

ROOT = Path(__file__).parents[2]

NAMES = (
    "click", "email", "json", "numpy", "onnx", "onnx_ir", "onnxruntime", "openvino", "random",
    "sitecustomize", "tempfile", "tensorrt", "tensorrt_rtx", "torch", "tvm", "usercustomize",
)  # fmt: skip
"""Packages, modules of Python that scripts are often called like, and what Python itself imports."""

PROJECT = """
[model.net]
file = "small.onnx"
[build.ir]
model = "net"
target = "ov-fp32"
"""
FINETUNE = (
    "finetune", "small.onnx", "--teacher", "small.onnx", "--data", "x.npz",
    "--steps", "2", "--batch", "2", "--evaluate-every", "1", "-o", "out.onnx",
)  # fmt: skip
COMMANDS = {
    "openvino": ("compile", "small.onnx", "--target", "ov-fp32", "-o", "out"),
    "tvm": ("compile", "small.onnx", "--target", "tvm-fp32", "-o", "out"),
    "tensorrt_rtx": ("compile", "small.onnx", "--target", "trt-fp32", "-o", "out"),
    "torch": FINETUNE,
    "torch export": ("export", "--weights", "net.pth", "-o", "out.onnx"),
    "onnxruntime": (
        "compile",
        "small.onnx",
        "--target",
        "ort-fp32",
        "-o",
        "out",
        "--verify",
        "each",
    ),
    "openvino by a build": ("build",),
    "openvino after all": ("bench", "small.onnx@openvino", "--rounds", "1"),
}


class Folder:
    """A user's folder with modules in it that tell when they are run."""

    def __init__(self, path: Path, marks: Path) -> None:
        self.path, self._marks = path, marks
        path.mkdir()
        for name in NAMES:
            code = f"with open({str(marks)!r}, 'a') as stream: stream.write('{name}\\n')\n"
            (path / f"{name}.py").write_text(code)

    @property
    def runs(self) -> list[str]:
        """The names of what was run, once for each time."""
        return self._marks.read_text().split() if self._marks.exists() else []


@pytest.fixture
def folder(tmp_path, small):
    import numpy as np

    made = Folder(tmp_path / "user", tmp_path / "marks")
    shutil.copy(small, made.path)
    samples = np.random.default_rng(0).standard_normal((8, 3, 8, 8)).astype(np.float32)
    np.savez(made.path / "x.npz", x=samples)
    (made.path / "lprc.toml").write_text(PROJECT)
    return made


@pytest.fixture(params=COMMANDS)
def command(request, folder):
    """Each command, where what it needs is installed."""
    vendor = request.param.partition(" ")[0]
    if not is_installed(vendor):
        pytest.skip(f"{vendor} is not installed")
    if request.param == "torch export":
        import torch
        from models_support import random_lprnet

        torch.save(random_lprnet(12).state_dict(), folder.path / "net.pth")
    return COMMANDS[request.param]


def test_with_python_dash_m(folder, command):
    done = run_lprc(*command, cwd=folder.path, environment={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    assert folder.runs == []


@pytest.fixture
def program(tmp_path):
    """What pip writes into ``bin``."""
    path = tmp_path / "bin" / "lprc"
    path.parent.mkdir()
    path.write_text("import sys\nfrom lprc.cli import main\nsys.exit(main())\n")
    return [sys.executable, path]


def test_the_program(folder, program):
    """It starts without the current folder on its path, and so does what it starts."""
    command = [*program, *COMMANDS["openvino"]]
    done = run(command, cwd=folder.path, environment={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    assert folder.runs == []


def test_a_checkout_that_is_not_installed(folder):
    """The current folder is where lprc comes from, and nothing else comes from there."""
    (folder.path / "lprc").symlink_to(ROOT / "lprc")
    command = (*COMMANDS["openvino"], "--verify", "each")
    done = run_lprc(*command, cwd=folder.path, environment={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    assert folder.runs == []


def test_with_a_path_that_is_not_absolute(folder, program, command):
    """Python runs what it imports as it starts, before lprc; nothing that lprc starts does."""
    environment = {"PYTHONPATH": ":.:../user"}
    done = run([*program, *command], cwd=folder.path, environment=environment)
    assert done.returncode == 0, done.stderr
    assert set(folder.runs) <= {"sitecustomize", "usercustomize"}
    assert len(folder.runs) <= 2
    for entry in (".", "../user"):
        assert f"warning: PYTHONPATH: '{entry}' is left out" in done.stderr


def test_what_a_full_path_names_is_used(folder, small, tmp_path):
    """Also in what lprc starts: whoever writes it wants it."""
    only = tmp_path / "named"
    only.mkdir()
    shutil.move(folder.path / "sitecustomize.py", only)
    command = ("compile", small, "--target", "ov-fp32", "-o", tmp_path / "out")
    done = run_lprc(*command, cwd=folder.path, environment={"PYTHONPATH": f"{only}:."})
    assert done.returncode == 0, done.stderr
    assert folder.runs == ["sitecustomize"] * 2


def test_the_current_folder_by_its_full_path_is_used(folder, program):
    """Python's own way to ask for it."""
    for name in set(NAMES) - {"openvino"}:
        (folder.path / f"{name}.py").unlink()
    environment = {"PYTHONPATH": str(folder.path)}
    command = [*program, *COMMANDS["openvino"]]
    done = run(command, cwd=folder.path, environment=environment)
    assert done.returncode == 4, done.stderr  # it is none
    assert "openvino" in folder.runs
