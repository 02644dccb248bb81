"""Networks of pixels compile for every target: what is lowered is legal and computes the same."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="the networks are made by lprc[torch]")

import lprc  # noqa: E402
from lprc.core.targets.target import target_names  # noqa: E402
from lprc.models.segmentation_networks.export import export_segmentation  # noqa: E402
from lprc.models.segmentation_networks.networks import NAMES, network  # noqa: E402

HEIGHT, WIDTH, CLASSES = 60, 84, 5
QUICK = ("openvino-fp32", "tensorrt-fp32", "tvm-fp32", "openvino-int8", "ort-int8", "tvm-int8")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Untrained networks whose normalisations have seen something."""
    folder = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    for name in NAMES:
        model = network(name, CLASSES, 0.06)
        model.train()
        with torch.no_grad():
            for _ in range(3):
                model(torch.randn(4, 3, HEIGHT, WIDTH))
        export_segmentation(model, folder / f"{name}.onnx", height=HEIGHT, width=WIDTH)
    return folder


EXACT = ("onnx", "openvino-fp32", "ort-fp32", "tensorrt-fp32", "tvm-fp32")
SLOW = pytest.mark.slow

CHOSEN = [
    pytest.param(target, name, marks=() if target in QUICK and name != "swiftnet-single" else SLOW)
    for target in target_names()
    for name in NAMES
]
"""What ends in another form of bilinear Resize or of Q/DQ is quick; the rest is for CI."""


@pytest.mark.parametrize(("target", "name"), CHOSEN)
def test_every_target_takes_it(models, target, name, tmp_path):
    generator = np.random.default_rng(0)
    samples = [
        {"image": generator.standard_normal((1, 3, HEIGHT, WIDTH), dtype=np.float32)}
        for _ in range(8)
    ]
    source, lowered = models / f"{name}.onnx", tmp_path / "out" / "lowered.onnx"
    lprc.compile(source, target, out=lowered.parent, emit="onnx", calibration=samples)
    operators = {node.op_type for node in onnx.load(lowered).graph.node}
    assert ("QuantizeLinear" in operators) == ("int8" in target or target == "onnx-qdq")
    assert "Resize" in operators
    if target in EXACT:
        expected, given = (
            onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(
                None, samples[0]
            )[0]
            for model in (source, lowered)
        )
        np.testing.assert_allclose(given, expected, rtol=1e-3, atol=1e-4)


def test_the_pyramid_is_pruned_through_its_bilinear_resizes(models, tmp_path):
    artifact = lprc.compile(
        models / "swiftnet.onnx",
        "onnx",
        out=tmp_path / "out",
        emit="onnx",
        then="prune-channels{target-macs=0.6}",
    )
    pruned = artifact.manifest["passes"][-1]
    assert pruned["pass"].startswith("prune-channels")
    assert pruned["rewrites"] > 0
    assert set(pruned["skips"]) <= {"blocked by a graph output"}
