"""The real LPRNet with fewer channels, mended without labels."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass

from lprc.core.files.image_listing import list_images
from lprc.core.onnx_io import model_io
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Session
from lprc.core.targets.target import target
from lprc.models.ctc import greedy_decode
from lprc.models.images import load_batch
from lprc.models.labels import read_labelled
from lprc.models.metrics import exact_matches
from lprc.models.plate_config import PlateConfig
from lprc.passes._pruning.channel_groups import channel_groups
from lprc.passes._pruning.removal_costs import multiply_accumulates
from lprc.passes.prune_channels import PruneChannels
from lprc.passes.reconstruct import Reconstruct

pytestmark = pytest.mark.data

CONFIG = PlateConfig.named("lprnet")


@pytest.fixture(scope="module")
def lowered(lprnet_onnx) -> bytes:
    """As openvino-fp32 lowers it."""
    model = model_io.load(lprnet_onnx)
    PassManager(Pipeline.parse(target("openvino-fp32").pipeline)).run(model)
    return model_io.to_bytes(model)


@pytest.fixture(scope="module")
def calibration(lprnet_data) -> list[dict[str, np.ndarray]]:
    images = load_batch(list_images(lprnet_data / "calib")[::3], CONFIG)
    return [{"image": image[None]} for image in images]


def macs(model: ir.Model) -> int:
    trace = channel_groups(model.graph).trace
    return multiply_accumulates(trace, np.ones(trace.count, bool))


def logits(model: ir.Model | bytes, images: list[dict[str, np.ndarray]]) -> np.ndarray:
    session = Session(model, optimize=True, threads=2)
    return np.concatenate([session.run(image)["logits"] for image in images])


def pruned(lowered: bytes, share: float, calibration) -> ir.Model:
    model = model_io.from_proto(onnx.load_from_string(lowered))
    item = PruneChannels(target_macs=share, importance="taylor")
    apply_pass(model, item, calibration=calibration)
    return model


def test_thirty_percent_of_the_macs_cost_no_accuracy(lowered, calibration, lprnet_data):
    model = pruned(lowered, 0.7, calibration)
    apply_pass(model, Reconstruct(), calibration=calibration)
    unpruned = macs(model_io.from_proto(onnx.load_from_string(lowered)))
    assert 45e6 < macs(model) <= 0.7 * unpruned
    assert len(model_io.to_bytes(model)) < 360_000
    items = read_labelled(lprnet_data / "val", CONFIG)
    images = load_batch([item.path for item in items], CONFIG)
    found = greedy_decode(logits(model, [{"image": image[None]} for image in images]), CONFIG)
    assert exact_matches(found, [item.label for item in items]) / len(items) >= 0.90


def test_repair_brings_the_logits_back(lowered, calibration):
    fit, other = calibration[:50], calibration[50:]
    model = pruned(lowered, 0.4, fit)
    wanted = logits(lowered, other)

    def signal_to_noise() -> float:
        error = np.square(logits(model, other) - wanted).sum()
        return float(10 * np.log10(np.square(wanted).sum() / error))

    before = signal_to_noise()
    context = apply_pass(model, Reconstruct(), calibration=fit)
    assert len(context.rewrites) > 5
    assert signal_to_noise() > before + 6
