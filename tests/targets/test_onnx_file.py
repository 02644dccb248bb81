"""The artefact of the ONNX targets is the lowered file; it runs, whatever is in it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.compile.settings import Observation
from lprc.core.running.runner import OpenJob
from lprc.core.targets.runtimes import runtime

STRICT = {"verify": "each", "observation": Observation(check_passes=True)}
HEAD = '<ir_version: 9, opset_import: ["" : 18]>\n'
BRANCHES = """g (float[N,2] x, bool c) => (float[N,2] y) {
    a = Identity(x)
    y = If (c) < then_branch = t () => (float[N,2] p) { p = Neg(a) },
                 else_branch = e () => (float[N,2] q) { r = Neg(a) q = Relu(r) } >
}"""
LOOP = """g (float[N,2] x) => (float[N,2] y) <int64 n = {3}, bool go = {1}> {
    y = Loop (n, go, x) < body = b (int64 i, bool c, float[N,2] s) => (bool d, float[N,2] t) {
        d = Identity(c)
        t = Add(s, x)
    } >
}"""
SEVERAL = """g (float[N,2] x) => (float[N,2] y, float[N,2] same, float[2] constant)
<float[2] w = {1,2}> { y = Neg(x) same = Identity(x) constant = Add(w, w) }"""
RECURRENT = "g (float[5,N,3] x) => (float[5,1,N,2] y) { y = LSTM<hidden_size=2>(x, w, r, b) }"


def saved(path, text):
    proto = onnx.parser.parse_model(HEAD + text)
    if "LSTM" in text:
        generator = np.random.default_rng(0)
        for name, shape in (("w", (1, 8, 3)), ("r", (1, 8, 2)), ("b", (1, 16))):
            array = generator.standard_normal(shape).astype(np.float32)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(proto, path)
    return path


def test_the_lowered_file_is_the_artefact(tmp_path):
    compile_model(compile_request(saved(tmp_path / "m.onnx", SEVERAL), "onnx", tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "lowered.onnx",
        "manifest.json",
        "model.onnx",
        "passes.json",
    ]
    lowered = (tmp_path / "out" / "lowered.onnx").read_bytes()
    assert (tmp_path / "out" / "model.onnx").read_bytes() == lowered


@pytest.mark.parametrize("target", ["onnx", "ort-fp32", "ov-fp32"])
@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        (BRANCHES, [("x", (3, 2)), ("c", True)]),
        (BRANCHES, [("x", (1, 2)), ("c", False)]),
        (LOOP, [("x", (3, 2))]),
        (SEVERAL, [("x", (3, 2))]),
        (RECURRENT, [("x", (5, 3, 3))]),
    ],
    ids=["then", "else", "loop", "several-outputs", "lstm"],
)
def test_outputs_stay_at_other_batches_too(tmp_path, text, inputs, target):
    source = saved(tmp_path / "m.onnx", text)
    compiled = compile_model(compile_request(source, target, tmp_path / "out", **STRICT))
    generator = np.random.default_rng(0)
    fed = {
        name: np.array(what)
        if isinstance(what, bool)
        else generator.standard_normal(what).astype(np.float32)
        for name, what in inputs
    }
    before = runtime("ort").open(OpenJob(source, threads=1)).run(fed)
    after = compiled.artifact.runner(threads=1).run(fed)
    assert list(after) == list(before)
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array, atol=1e-6)
