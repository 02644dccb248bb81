"""The export is valid, deterministic, dynamic where asked, and free of this machine."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from models_support import random_lprnet

from lprc.core.errors import UsageError
from lprc.models.export import export_onnx


@pytest.fixture(scope="module")
def model():
    return random_lprnet(12)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(model, path)
    return path


@pytest.mark.parametrize("batch", [1, 3])
def test_dynamic_batch_gives_torch_logits(model, exported, batch):
    image = np.random.default_rng(0).standard_normal((batch, 3, 24, 94), dtype=np.float32)
    session = ort.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": image})
    with torch.inference_mode():
        expected = model(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())


def test_the_graph_is_the_network_as_trained(exported):
    proto = onnx.load(exported)
    onnx.checker.check_model(proto, full_check=True)
    operators = [node.op_type for node in proto.graph.node]
    assert operators.count("BatchNormalization") == 6
    kernels = [
        list(attribute.ints)
        for node in proto.graph.node
        if node.op_type == "MaxPool"
        for attribute in node.attribute
        if attribute.name == "kernel_shape"
    ]
    assert kernels == [[1, 3, 3]] * 3
    assert "backbone.4.block.2/Conv" in {node.name for node in proto.graph.node}


def test_static_batch_and_opset(model, tmp_path):
    path = tmp_path / "static.onnx"
    export_onnx(model, path, batch=2, opset=19)
    proto = onnx.load(path)
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
    assert proto.opset_import[0].version == 19


def test_old_opset_is_refused(model, tmp_path):
    with pytest.raises(UsageError, match="opset 18 is too old"):
        export_onnx(model, tmp_path / "o.onnx", opset=18)


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from models_support import random_lprnet
from lprc.models.export import export_onnx
export_onnx(random_lprnet(12), Path(sys.argv[1]))
"""


def test_another_process_writes_the_same_bytes(exported, tmp_path):
    other = tmp_path / "other.onnx"
    here = __file__.rpartition("/")[0]
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(other), here], check=True, capture_output=True
    )
    assert other.read_bytes() == exported.read_bytes()


def test_no_machine_paths(exported):
    data = exported.read_bytes()
    assert b"site-packages" not in data
    assert b".py" not in data
