"""A compile that fails leaves no artefact, and says what failed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from vendors import put_in_front

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.optimize import optimize_file
from lprc.compiler.compile.request import compile_request
from lprc.compiler.compile.settings import Observation
from lprc.core import builtin
from lprc.core.errors import LprcError, OutputError, PromiseBrokenError
from lprc.core.graph import editing
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.core.process.worker import WorkerError
from lprc.targets import openvino_ir

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,2] x) => (float[N,2] y) <float[2] w = {1,2}> { [mul] a = Mul(x, w) [relu] y = Relu(a) }"""


@pytest.fixture
def source(tmp_path) -> Path:
    onnx.save(onnx.parser.parse_model(TEXT), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@dataclass(frozen=True)
class WrongWeight(Pass):
    """Change one weight and promise that nothing changed."""

    name = "wrong-weight"
    contract = exact

    def run(self, model: ir.Model, context: PassContext) -> None:
        node = next(node for node in model.graph if node.op_type == "Mul")
        if context.rewrite(node, "broke it"):
            wrong = editing.add_initializer(model.graph, "wrong", np.array([1, 3], np.float32))
            node.replace_input_with(1, wrong)


@pytest.fixture
def broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "test_compile", sys.modules[__name__])
    monkeypatch.setitem(builtin.PASSES, "wrong-weight", "test_compile:WrongWeight")


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    ("verify", "culprit"), [("each", "pass 'wrong-weight'"), ("final", "2 passes together")]
)
def test_a_broken_promise_leaves_a_reproducer_and_no_artefact(source, tmp_path, verify, culprit):
    out, left = tmp_path / "out", tmp_path / "out.broken"
    settings = {"verify": verify, "observation": Observation(reproducer=left)}
    with pytest.raises(PromiseBrokenError, match=culprit) as caught:
        compile_model(
            compile_request(source, "onnx", out, passes="infer-shapes,wrong-weight", **settings)
        )
    assert "y: max" in caught.value.message
    assert not out.exists()
    assert {"before.onnx", "after.onnx", "pipeline.txt", "replay.txt"} <= {
        path.name for path in left.iterdir()
    }
    # What is left can be replayed: the same pass on the same graph breaks again.
    with pytest.raises(PromiseBrokenError):
        optimize_file(
            left / "before.onnx", (left / "pipeline.txt").read_text(), tmp_path / "o.onnx"
        )


@pytest.mark.usefixtures("broken")
def test_unverified_is_not_caught(source, tmp_path):
    compile_model(
        compile_request(source, "onnx", tmp_path / "out", passes="wrong-weight", verify="off")
    )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "OpenVINO was ended by SIGSEGV",
        ),
        (
            "def convert_model(path): raise RuntimeError('at 7:\\nUnsupported: operator Foo\\n')",
            r"OpenVINO can't convert node 'mul' \(Mul\): Unsupported: operator Foo",
        ),
    ],
)
def test_a_vendor_crash_is_an_error(source, tmp_path, monkeypatch, code, message):
    put_in_front(monkeypatch, tmp_path / "vendor", openvino=code)
    with pytest.raises(WorkerError, match=message):
        compile_model(compile_request(source, "ov-fp32", tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "vendor"]


def test_a_slow_vendor_is_stopped(source, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_ir, "TIME_LIMIT", 0.01)
    with pytest.raises(LprcError, match=r"took more than 0\.01 s"):
        compile_model(compile_request(source, "ov-fp32", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_output_may_not_be_a_file(source, tmp_path):
    with pytest.raises(OutputError, match="is a file, not a folder"):
        compile_model(compile_request(source, "onnx", source))
    assert onnx.load(source)


def test_real_inputs_are_used(source, tmp_path):
    inputs = [{"x": np.array([[1, 2]], np.float32)}, {"x": np.array([[-1, 5], [0, 1]], np.float32)}]
    compiled = compile_model(compile_request(source, "ort-fp32", tmp_path / "out", inputs=inputs))
    assert [delta.magnitude for delta in compiled.deltas] == [10.0]


def test_two_folders_get_the_same_bytes_without_paths(source, tmp_path):
    for name in ("a", "b"):
        compile_model(compile_request(source, "ov-fp16", tmp_path / name / "out"))
    for path in (tmp_path / "a" / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "out" / path.name).read_bytes()
        assert str(tmp_path).encode() not in path.read_bytes()
