"""Run the command line in a process of its own, as a user would."""

from __future__ import annotations

import subprocess
from pathlib import Path

import onnx
import pytest
from processes import run_lprc

SMALL = """
<ir_version: 9, opset_import: ["" : 18]>
g (float[N,3,8,8] x) => (float[N,4,6,6] y)
<float[4,3,3,3] w, float[4] b, float[4] scale = {1,2,3,4}, float[4] bias = {0,1,0,1},
 float[4] mean = {0,0,1,1}, float[4] var = {1,1,2,2}> {
    a = Conv(x, w, b)
    n = BatchNormalization(a, scale, bias, mean, var)
    y = Relu(n)
}
"""


@pytest.fixture
def lprc():
    def run(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = run_lprc(*arguments)
        if check:
            assert done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A Conv, BatchNormalization and Relu with weights, as a file."""
    import numpy as np

    model = onnx.parser.parse_model(SMALL)
    generator = np.random.default_rng(0)
    for tensor in list(model.graph.initializer):
        if tensor.name in "wb":
            model.graph.initializer.remove(tensor)
    for name, shape in (("w", (4, 3, 3, 3)), ("b", (4,))):
        array = generator.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    path = tmp_path / "small.onnx"
    onnx.save(model, path)
    return path
