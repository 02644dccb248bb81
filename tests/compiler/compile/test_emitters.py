"""An emitter may be anyone's: one that can't be loaded or lies leaves no artefact."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import onnx
import pytest

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core import builtin, registry
from lprc.core.errors import (
    IllegalForTargetError,
    InvalidModelError,
    LprcError,
    MissingDependencyError,
    OutputError,
    PromiseBrokenError,
    UsageError,
)
from lprc.core.targets.emitter import Emitted
from lprc.core.targets.target import Target

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,2] x) => (float[N,2] y) { [the_relu] y = Relu(x) }"""
TOML = """
name = "mine"
description = "Mine."
precision = "float32"
runtime = "onnxruntime"
emitter = "their_emitter:emit"
tolerance = 1e-4
pipeline = "eliminate-dead-code"
"""


@pytest.fixture
def source(tmp_path):
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@pytest.fixture
def mine(monkeypatch):
    """Register a target with this emitter and these further lines of TOML."""

    def register(emit=None, more="rules = []"):
        target = Target.from_toml(f"{TOML}{more}\n", where="mine.toml")
        point = SimpleNamespace(name="mine", value="their_emitter:TARGET", load=lambda: target)
        monkeypatch.setattr(
            registry, "entry_points", lambda group: [point] if group == "lprc.targets" else []
        )
        if emit is not None:
            monkeypatch.setitem(sys.modules, "their_emitter", SimpleNamespace(emit=emit))

    return register


def emits(text):
    def emit(job):
        onnx.save(onnx.parser.parse_model(text), job.folder / "model.onnx")
        return Emitted([job.folder / "model.onnx"])

    return emit


def left(source):
    return sorted(path.name for path in source.parent.iterdir())


def test_a_third_party_target(source, tmp_path, mine):
    mine(emits(TEXT))
    compiled = compile_model(compile_request(source, "mine", tmp_path / "out"))
    assert compiled.artifact.model.name == "model.onnx"
    assert [delta.max_abs for delta in compiled.deltas] == [0.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("Relu", "Neg"), "y: max"),
        # As many elements, in another shape.
        (
            TEXT.replace("float[N,2] y", "float[M] y").replace(
                "y = Relu(x)", "r = Relu(x) s = Constant<value_ints=[-1]>() y = Reshape(r, s)"
            ),
            r"y: is float32\[2\], was float32\[1, 2\]",
        ),
        (TEXT.replace(" y", " z"), "y: is gone"),
    ],
    ids=["values", "shape", "name"],
)
def test_an_artefact_that_computes_something_else(source, tmp_path, mine, text, message):
    mine(emits(text))
    with pytest.raises(PromiseBrokenError, match=message) as caught:
        compile_model(compile_request(source, "mine", tmp_path / "out"))
    assert caught.value.where == "target 'mine'"
    assert left(source) == ["m.onnx"]
    compile_model(compile_request(source, "mine", tmp_path / "out", verify="off"))


def test_an_artefact_that_its_runtime_can_not_load(source, tmp_path, mine):
    """The error names the source: the artefact's folder is gone by then."""

    def emit(job):
        (job.folder / "model.onnx").write_bytes(b"nonsense")
        return Emitted([job.folder / "model.onnx"])

    mine(emit)
    with pytest.raises(InvalidModelError, match="target 'mine': ONNX Runtime can't load") as caught:
        compile_model(compile_request(source, "mine", tmp_path / "out"))
    assert caught.value.where == str(source)
    assert "--input-shape" in caught.value.hint
    assert left(source) == ["m.onnx"]


def test_an_emitter_that_fails(source, tmp_path, mine):
    def emit(job):
        (job.folder / "half").write_bytes(b"half")
        raise LprcError("no", where="their converter")

    mine(emit)
    with pytest.raises(LprcError, match="their converter: no"):
        compile_model(compile_request(source, "mine", tmp_path / "out"))
    assert left(source) == ["m.onnx"]


@pytest.mark.parametrize("module", [None, SimpleNamespace()])
def test_an_emitter_that_can_not_be_loaded(source, tmp_path, mine, monkeypatch, module):
    mine()
    if module is not None:
        monkeypatch.setitem(sys.modules, "their_emitter", module)
    with pytest.raises(UsageError, match="target 'mine': can't load 'their_emitter:"):
        compile_model(compile_request(source, "mine", tmp_path / "out"))
    assert left(source) == ["m.onnx"]


@pytest.mark.parametrize("module", ["no_such_module", "no_such_package.module"])
def test_a_missing_sdk(source, tmp_path, mine, module):
    mine(emits(TEXT), f"rules = []\nrequires = ['{module}']\ninstall = 'pip install it'")
    with pytest.raises(MissingDependencyError, match=rf"'mine' needs {module} \(pip install it; "):
        compile_model(compile_request(source, "mine", tmp_path / "out"))
    compiled = compile_model(compile_request(source, "mine", tmp_path / "out", emit="onnx"))
    assert compiled.artifact.model.name == "lowered.onnx"


def test_a_broken_rule_names_node_rule_and_remedy(source, tmp_path, mine):
    rule = "rule = 'refused-operators'\nrefused = ['Relu']\nmessage = 'no Relu'\nremedy = 'do this'"
    mine(emits(TEXT), f"[[rules]]\n{rule}")
    with pytest.raises(IllegalForTargetError) as caught:
        compile_model(compile_request(source, "mine", tmp_path / "out"))
    message = "node 'the_relu' (Relu): no Relu; illegal for target 'mine'"
    assert (caught.value.message, caught.value.hint) == (message, "do this")
    assert left(source) == ["m.onnx"]


def test_an_earlier_artefact_is_replaced(source, tmp_path, mine):
    mine(emits(TEXT))
    out = tmp_path / "out"
    compile_model(compile_request(source, "mine", out))
    compile_model(compile_request(source, "mine", out, emit="onnx"))
    names = sorted(path.name for path in out.iterdir())
    assert names == ["lowered.onnx", "manifest.json", "passes.json"]


def test_an_earlier_artefact_survives_a_failure(source, tmp_path, mine):
    mine(emits(TEXT))
    out = tmp_path / "out"
    compile_model(compile_request(source, "mine", out))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    mine(emits(TEXT.replace("Relu", "Neg")))
    with pytest.raises(PromiseBrokenError):
        compile_model(compile_request(source, "mine", out))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("content", ["{}", '{"schema": 1}', '{"schema": 1, "lprc": "1"}', "{"])
def test_a_folder_of_others_is_left_alone(source, tmp_path, mine, content):
    mine(emits(TEXT))
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text(content)
    (out / "theirs.txt").write_text("theirs")
    with pytest.raises(OutputError, match="holds files that lprc did not write"):
        compile_model(compile_request(source, "mine", out))
    assert (out / "theirs.txt").read_text() == "theirs"


def test_a_file_put_into_an_artefact_is_not_lost(source, tmp_path, mine):
    mine(emits(TEXT))
    out = tmp_path / "out"
    compile_model(compile_request(source, "mine", out))
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds files that lprc did not write"):
        compile_model(compile_request(source, "mine", out))
    assert (out / "notes.txt").read_text() == "mine"


def test_no_shipped_target_is_hidden_by_a_third_partys(mine):
    mine(emits(TEXT))
    assert set(builtin.TARGETS) < set(registry.names(builtin.TARGETS, "lprc.targets"))
