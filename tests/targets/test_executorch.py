"""ExecuTorch programs: that they run, and what is refused; without its wheel only the latter."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.core.errors import MissingDependencyError, UsageError
from lprc.core.onnx_io.model_io import load
from lprc.core.process.installed import is_installed
from lprc.core.running.numerics import RunError, Session

pytest.importorskip("torch", reason="torch is not installed")
is_here = is_installed("executorch.runtime")
needs_it = pytest.mark.skipif(not is_here, reason="ExecuTorch is not installed")

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[N,4,8,8] x) => (float[N,4,6,6] y, float[N,4,6,6] z) <float[4,4,3,3] w = {WEIGHTS}> {
  [conv] c = Conv<kernel_shape=[3,3]>(x, w)
  [relu] y = Relu(c)
  [neg] z = Neg(y)
}"""


@pytest.fixture
def source(tmp_path):
    values = ",".join(f"{(index % 7 - 3) / 4}" for index in range(144))
    onnx.save(onnx.parser.parse_model(TEXT.replace("WEIGHTS", values)), tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


@needs_it
def test_a_program_gives_what_the_source_gives(source, tmp_path):
    folder = tmp_path / "out"
    compile_model(compile_request(source, "executorch-fp32", folder))
    assert json.loads((folder / "manifest.json").read_text())["emitter"]["kernels"]["XNNPACK"] >= 1
    runner = open_artifact(folder).runner()
    assert runner.inputs == {"x": (1, 4, 8, 8)}
    x = np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32)
    outputs, wanted = runner.run({"x": x}), Session(load(source)).run({"x": x})
    for name, array in wanted.items():
        np.testing.assert_allclose(outputs[name], array, rtol=1e-5, atol=1e-5)
    with pytest.raises(RunError, match="the file is compiled for float32 1x4x8x8"):
        runner.run({"x": np.zeros((2, 4, 8, 8), np.float32)})
    with pytest.raises(UsageError, match="can't be told a number of threads"):
        open_artifact(folder).runner(threads=1)


@pytest.mark.skipif(is_here, reason="ExecuTorch is installed")
def test_without_its_wheel_the_lowered_graph_is_there(source, tmp_path):
    with pytest.raises(MissingDependencyError, match="executorch"):
        compile_request(source, "executorch-fp32", tmp_path / "out")
    compile_model(compile_request(source, "executorch-fp32", tmp_path / "out", emit="onnx"))
    lowered = onnx.load(tmp_path / "out" / "lowered.onnx")
    assert lowered.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


def test_a_program_is_opened_by_its_name(tmp_path):
    (tmp_path / "model.pte").write_bytes(b"")
    assert open_artifact(tmp_path / "model.pte").backend == "executorch"
