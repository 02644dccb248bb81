"""``lprc task``, and artefacts that carry their task."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime as ort
from PIL import Image


def test_what_is_listed_can_be_shown(lprc):
    listed = json.loads(lprc("task", "list", "--json").stdout)
    kinds = {item["name"]: item["kind"] for item in listed}
    assert kinds["lprnet"] == kinds["plates"] == "plates"
    assert 'task = "plates"' in lprc("task", "list", "synthetic").stdout
    assert "mean IoU" in lprc("task", "list", "segmentation").stdout


def test_a_first_file_is_taken(lprc, bundled, plates, tmp_path):
    file = tmp_path / "first.toml"
    lprc("task", "new", bundled, "--like", "plates", "-o", file)
    evaluated = lprc("eval", bundled, "--data", plates, "--task", file, "--json").stdout
    assert json.loads(evaluated)["accuracy"] >= 0.95
    schema = json.loads(lprc("task", "schema", "plates").stdout)
    assert schema["required"] == ["task", "input", "output"]


def test_the_old_name_of_the_option(lprc, bundled, plates):
    done = lprc("eval", bundled, "--data", plates, "--plates", "synthetic")
    assert done.stdout.startswith("plate accuracy 0.9")


def test_an_artefact_of_bytes_needs_no_flags(lprc, bundled, plates, tmp_path):
    """RGB pixels in, and the task that is written says so."""
    out = tmp_path / "out"
    lprc("compile", bundled, "--target", "onnx", "--embed", "preprocessing", "--source-color",
         "RGB", "-o", out, "--verify", "each", "-q")  # fmt: skip
    told = json.loads((out / "deployment.json").read_text("utf-8"))
    assert told["inputs"] == [{"name": "image", "dtype": "uint8", "shape": [-1, 24, 94, 3]}]
    assert (told["image"]["color"], told["image"]["layout"]) == ("RGB", "NHWC")
    before = json.loads(lprc("eval", bundled, "--data", plates, "--json").stdout)
    after = json.loads(lprc("eval", out, "--data", plates, "--json").stdout)
    assert after["accuracy"] == before["accuracy"]
    session = ort.InferenceSession(out / "model.onnx")
    image = np.asarray(Image.open(sorted(plates.glob("*.jpg"))[0]).convert("RGB"))
    assert session.run(None, {"image": image[None]})[0].shape[1] == 34


def test_parts_that_there_are_not(lprc, bundled, tmp_path):
    done = lprc("compile", bundled, "--target", "onnx", "--embed", "lunch", "-o", tmp_path / "o",
                check=False)  # fmt: skip
    assert (done.returncode, (tmp_path / "o").exists()) == (2, False)
    assert "'lunch' is no part of a task" in done.stderr


def test_a_hostile_task_in_an_artefact_imports_nothing(lprc, bundled, plates, tmp_path):
    out = tmp_path / "out"
    lprc("compile", bundled, "--target", "onnx", "--task", "synthetic", "-o", out, "-q")
    (out / "task.toml").write_text('task = "antigravity:Task"\n')
    done = lprc("eval", out, "--data", plates, check=False)
    assert done.returncode == 8
    assert "is not trusted to import it" in done.stderr
    assert onnx.load(out / "model.onnx").graph.node
