"""The source is run first: what it can't do itself is told of it, and never of a pass."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.optimize import optimize_file
from lprc.compiler.compile.request import compile_request
from lprc.core.running.size_search import UnrunnableError

HEAD = '<ir_version: 9, opset_import: ["" : 20]>\n'

NECK = """g (float[N,1,H,W] x) => (float[N,2,?,?] y)
<float[1,1,3,3] w = {1,2,3,4,5,6,7,8,9}, float[4] scales = {1,1,4,4}> {
    a = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w)
    b = Conv<strides=[2,2], pads=[1,1,1,1]>(a, w)
    c = Conv<strides=[2,2], pads=[1,1,1,1]>(b, w)
    up = Resize<mode="nearest">(c, , scales)
    y = Concat<axis=1>(up, a)
}"""

NOWHERE = "g (float[N,T] x) => (float y) <int64[2] s = {-1,4801}> { y = Reshape(x, s) }"


@pytest.fixture
def saved(tmp_path):
    def save(text):
        onnx.save(onnx.parser.parse_model(HEAD + text), tmp_path / "m.onnx")
        return tmp_path / "m.onnx"

    return save


@pytest.mark.parametrize("target", ["onnx", "ort-fp32", "ov-fp32"])
@pytest.mark.parametrize("verify", ["off", "final", "each"])
def test_a_pyramid_of_open_sizes_compiles(saved, tmp_path, target, verify):
    compiled = compile_model(compile_request(saved(NECK), target, tmp_path / "out", verify=verify))
    warnings = compiled.artifact.manifest["warnings"]
    told = [text for text in warnings if "made up, H=8, W=8: give real ones" in text]
    assert len(told) == (verify != "off")
    assert bool(compiled.deltas) == (verify != "off")


def test_sizes_of_a_batch_alone_are_nothing_to_tell(saved, tmp_path):
    text = "g (float[N,3] x) => (float[N,3] y) { y = Relu(x) }"
    done = optimize_file(saved(text), "legalize", tmp_path / "o.onnx")
    assert done.warnings == []


@pytest.mark.parametrize("mode", ["final", "each"])
def test_a_source_that_runs_at_no_size_is_an_error_of_its_own(saved, tmp_path, mode):
    path = saved(NOWHERE)
    with pytest.raises(UnrunnableError, match="the source itself does not run on made-up") as told:
        optimize_file(path, "legalize", tmp_path / "o.onnx", verify=mode)
    assert told.value.where == str(path)
    assert "requested shape:{-1,4801}" in told.value.message
    assert "T=2" in told.value.message
    assert "--dim" in told.value.hint
    assert not (tmp_path / "o.onnx").exists()
    optimize_file(path, "legalize", tmp_path / "o.onnx", verify="off")


def test_a_source_that_refuses_given_inputs_is_an_error_of_its_own(saved, tmp_path):
    inputs = [{"x": np.zeros((1, 1, 20, 20), np.float32)}]
    with pytest.raises(UnrunnableError, match="does not run on the inputs that were given"):
        optimize_file(saved(NECK), "legalize", tmp_path / "o.onnx", inputs=inputs)
