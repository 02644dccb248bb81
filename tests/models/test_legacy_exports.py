"""A third party's LPRNet compiles as it is, whichever exporter wrote it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from legacy_exports import legacy_forms
from models_support import random_lprnet

from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request

MODEL = random_lprnet()
FORMS = legacy_forms(MODEL)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", ["ort-fp32", "ov-fp32"])
def test_compiles_to_the_same_logits(form, target, tmp_path):
    path = tmp_path / f"{form}.onnx"
    onnx.save(FORMS[form](), path)
    artifact = compile_model(compile_request(path, target, tmp_path / "out")).artifact
    image = np.random.default_rng(0).standard_normal((1, 3, 24, 94), dtype=np.float32)
    with torch.inference_mode():
        expected = MODEL(torch.from_numpy(image)).numpy()
    logits = artifact.runner().run({"image": image})["logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    operators = {node.op_type for node in onnx.load(tmp_path / "out" / "lowered.onnx").graph.node}
    assert not operators & {
        "BatchNormalization",
        "Transpose",
        "Unsqueeze",
        "Pad",
        "Cast",
        "Constant",
        "Pow",
    }
