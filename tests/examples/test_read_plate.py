"""examples/docker/read_plate.py reads what lprc reads, by nothing but deployment.json."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.tasks.image_files import read_image

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "docker" / "read_plate.py"

pytest.importorskip("openvino")


@pytest.mark.parametrize("embed", [(), ("preprocessing", "postprocessing")])
def test_same_texts(embed, bundled, plates, tmp_path):
    out = tmp_path / "artefact"
    compile_model(compile_request(bundled, "ov-fp32", out, task="synthetic", embed=embed))
    images = sorted(plates.glob("*.jpg"))[:30]
    done = _run(out, *images)
    assert done.returncode == 0, done.stderr
    artefact = open_artifact(out)
    arrays = [artefact.task.input.array(read_image(path))[None] for path in images]
    expected = [
        artefact.task.answers(artefact.run({"image": array}), [None])[0] for array in arrays
    ]
    assert done.stdout.splitlines() == [
        f"{path} {text}" for path, text in zip(images, expected, strict=True)
    ]
    assert len(set(expected)) > 25


def test_another_task_is_refused(tmp_path):
    out = tmp_path / "artefact"
    model = ROOT / "models" / "plate_detector.onnx"
    compile_model(compile_request(model, "onnx", out, emit="onnx", task="plate-detector"))
    done = _run(out, ROOT / "models" / "synthetic_plates" / "test" / "000.jpg")
    assert done.returncode == 1
    assert "needs more than this example does" in done.stderr


def _run(*arguments):
    environment = {**os.environ, "PYTHONPATH": ""}
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
