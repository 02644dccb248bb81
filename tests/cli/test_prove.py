"""``lprc verify --prove``: rewrites proved, refuted with an input, or left with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from processes import run_lprc

TEXT = """
<ir_version: 9, opset_import: ["" : 20]>
g (float[N,4] x) => (float[N,4] y) <float e = {2}> {
    a = Pow(x, e)
    b = Relu(a)
    c = Relu(b)
    y = Neg(c)
}
"""

PLUGIN = '''
from dataclasses import dataclass

from lprc.plugin import Pass, editing, exact


@dataclass(frozen=True)
class DropRelu(Pass):
    """Drop every Relu, which is wrong."""

    name = "drop-relu"
    contract = exact
    provable = True

    def run(self, model, context):
        for node in list(model.graph):
            if editing.is_op(node, "Relu") and context.rewrite(node, "is its input"):
                editing.replace_value(node.outputs[0], node.inputs[0])
                editing.remove_dead([node])
'''


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    return path


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with a pass that does something else than it says."""
    folder = tmp_path / "packages"
    info = folder / "wrong-1.dist-info"
    info.mkdir(parents=True)
    (folder / "wrong.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[lprc.passes]\ndrop-relu = wrong:DropRelu\n")
    return folder


def test_the_bundled_model(lprc, bundled, tmp_path):
    lprc("compile", bundled, "--target", "ort-fp32", "-o", tmp_path / "out", "-q")
    done = lprc("verify", tmp_path / "out", "--prove", "--source", bundled)
    assert "pow-to-mul" in done.stdout
    assert "12 of 12 rewrites proved over the reals, at image 2×3×24×94" in done.stdout
    assert "not looked at: " in done.stdout
    assert "5 of fold-constants" in done.stdout
    assert "folded into backbone.0/Conv " in done.stdout
    assert done.stdout.count("proved up to the rounding of constants") == 6


def test_as_json_and_at_a_given_size(lprc, model, tmp_path):
    passes = "infer-shapes,pow-to-mul,simplify-activations"
    out = tmp_path / "out"
    lprc("compile", model, "--target", "onnx", "--passes", passes, "-o", out, "-q")
    arguments = ["verify", out, "--prove", "--source", model, "--dim", "N=3", "--json"]
    proof = json.loads(lprc(*arguments).stdout)["proof"]
    assert proof["sizes"] == {"x": [3, 4]}
    assert (proof["proved"], proof["not_proved"], proof["refuted"]) == (2, 0, 0)
    assert [rewrite["pass"] for rewrite in proof["rewrites"]] == passes.split(",")[1:]
    assert all(rewrite["verdict"]["elements"] == 12 for rewrite in proof["rewrites"])
    assert proof["others"] == {"infer-shapes": 1}
    # The same questions to Z3 have the same answers.
    assert json.loads(lprc(*arguments).stdout)["proof"] == proof


def test_a_wrong_rewrite_is_refuted(model, plugin, tmp_path):
    # The Relu makes 0 of all that comes to it.
    text = TEXT.replace("a = Pow(x, e)", "a = Sigmoid(x)").replace("b = Relu(a)", "b = Neg(a)")
    onnx.save(onnx.parser.parse_model(text), model)
    environment = {"PYTHONPATH": str(plugin)}
    out = tmp_path / "out"
    options = ["--passes", "infer-shapes,drop-relu", "--verify", "off", "-o", out, "-q"]
    done = run_lprc("compile", model, "--target", "onnx", *options, environment=environment)
    assert done.returncode == 0, done.stderr
    arguments = ["verify", out, "--prove", "--source", model, "--json"]
    done = run_lprc(*arguments, environment=environment)
    assert done.returncode == 5
    assert "pass 'drop-relu': the rewrite of node 'Relu_2' is refuted: " in done.stderr
    (rewrite,) = json.loads(done.stdout)["proof"]["rewrites"]
    example = rewrite["verdict"]["counterexample"]
    ((name, array),) = example["inputs"].items()
    assert name in ("x", "a", "b")
    assert array["shape"] == [2, 4]
    assert isinstance(array["elements"], list)
    assert "max" in example["difference"]


def test_another_model_is_refused(lprc, model, bundled, tmp_path):
    out = tmp_path / "out"
    lprc("compile", model, "--target", "onnx", "-o", out, "-q")
    done = lprc("verify", out, "--prove", "--source", bundled, check=False)
    assert done.returncode == 3
    assert "not the model that" in done.stderr


def test_without_the_model(lprc, tmp_path):
    done = lprc("verify", tmp_path, "--prove", check=False)
    assert done.returncode == 2
    assert "--prove: wants the model too" in done.stderr


def test_without_z3(model, tmp_path):
    out = tmp_path / "out"
    assert run_lprc("compile", model, "--target", "onnx", "-o", out, "-q").returncode == 0
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'z3':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    done = run_lprc(
        "verify", out, "--prove", "--source", model, environment={"PYTHONPATH": str(hidden)}
    )
    assert done.returncode == 7
    assert "--prove: needs z3-solver" in done.stderr
    assert 'pip install "lprc[prove]"' in done.stderr
