"""The script that compares and measures an engine: exit codes, and what it prints.

Without a GPU: on stand-ins for CUDA and TensorRT, and as it lies in a kit.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lprc.targets import tensorrt_scripts
from lprc.targets.tensorrt_scripts import run_engine


def x(batch, first=0.0):
    return {"x": np.arange(first, first + batch * 3, dtype=np.float32).reshape(batch, 3)}


def store(folder, **arrays):
    names = {name.replace("_", ":"): array for name, array in arrays.items()}
    np.savez(folder / "reference.npz", **names)
    return folder / "reference.npz"


@pytest.mark.parametrize(("error", "code"), [(0.0, 0), (0.5, 0), (2.0, 1), (float("nan"), 1)])
def test_the_exit_code_is_the_comparison(install, path, capsys, error, code):
    install()
    wanted = 2 * x(3)["x"] + 1  # at most 17
    wanted[1, 1] += error
    reference = store(path.parent, input_x=x(3)["x"], output_y=wanted)
    arguments = [str(path), str(reference), "--rounds", "3"]
    assert run_engine.main(arguments) == code
    text = capsys.readouterr().out
    assert f"{'within' if code == 0 else 'OUTSIDE'} the tolerance of 0.05" in text
    assert "3 runs, CUDA graph" in text
    assert "Fake, compute capability 8.6; driver " in text
    assert run_engine.main([*arguments, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["within"] is (code == 0)
    assert found["outputs"]["y"]["max_abs"] == (error if error == error else float("inf"))
    assert found["versions"]["tensorrt_rtx"] == "1.7"
    assert found["latency"]["cuda_graph"] is True


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.5], (0.5, 0.25)),
        ([0.0], [0.5], (0.5, np.inf)),
        ([np.nan, np.inf, 4.0], [np.nan, np.inf, 4.0], (0.0, 0.0)),
        ([np.inf, 4.0], [1.0, 4.0], (np.inf, np.inf)),
        ([1.0], [[1.0]], (np.inf, np.inf)),
        ([1], [1.0], (np.inf, np.inf)),
        ([True, False], [True, True], (1.0, 1.0)),
    ],
)
def test_differences(wanted, found, expected):
    assert run_engine.difference(np.array(wanted), np.array(found)) == expected


def test_a_reference_of_another_engine(install, path, capsys):
    install()
    reference = store(path.parent, input_x=x(1)["x"], output_z=x(1)["x"])
    assert run_engine.main([str(path), str(reference)]) == 2
    assert "the reference has the outputs ['z'], the engine ['y']" in capsys.readouterr().err


@pytest.fixture
def kit(path):
    """The scripts beside an engine, as in a kit; without lprc's package around them."""
    for file in Path(tensorrt_scripts.__file__).parent.glob("*.py"):
        if file.name != "__init__.py":
            shutil.copy(file, path.parent)
    store(path.parent, input_x=x(1)["x"], output_y=x(1)["x"])
    return path.parent


def run_script(kit, *arguments):
    return subprocess.run(
        [sys.executable, "run_engine.py", *arguments],
        cwd=kit,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda kit: None, [], "NVIDIA"),
        (lambda kit: (kit / "reference.npz").write_bytes(b"PK broken"), [], "reference.npz can't be read"),
        (lambda kit: (kit / "reference.npz").write_bytes(b""), [], "reference.npz can't be read"),
        (lambda kit: (kit / "reference.npz").unlink(), [], "reference.npz: no such file"),
        (lambda kit: store(kit, x=np.ones(1)), [], "unknown array 'x'"),
        (lambda kit: store(kit, input_x=np.ones(1)), [], "holds no inputs or no outputs"),
        (lambda kit: None, ["--tolerance", "0"], "--tolerance: must be positive"),
        (lambda kit: None, ["--rounds", "-1"], "--rounds: must be positive"),
    ],
)  # fmt: skip
def test_the_script_in_a_kit_says_why_it_can_not_run(kit, change, arguments, message):
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    change(kit)
    done = run_script(kit, "model.engine", "reference.npz", *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_scripts_need_nothing_of_lprc(kit):
    code = "import sys, run_engine; sys.exit(any(name.split('.')[0] == 'lprc' for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=kit, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
