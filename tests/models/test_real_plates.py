"""The exported network on the real plates: what it reads, and that it is torch's network."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch

from lprc.models.checkpoint import load_checkpoint
from lprc.models.ctc import greedy_decode
from lprc.models.images import load_batch
from lprc.models.labels import read_labelled
from lprc.models.metrics import exact_matches
from lprc.models.plate_config import PlateConfig

CONFIG = PlateConfig.named("lprnet")


@pytest.fixture(scope="module")
def session(lprnet_onnx):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(lprnet_onnx, options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def items(lprnet_data):
    return read_labelled(lprnet_data / "val", CONFIG)


@pytest.fixture(scope="module")
def images(items):
    return load_batch([item.path for item in items], CONFIG)


def test_the_export_reads_one_plate_at_a_time_as_published(session, items, images):
    logits = [session.run(["logits"], {"image": image[None]})[0] for image in images]
    read = greedy_decode(np.concatenate(logits), CONFIG)
    right = exact_matches(read, [item.label for item in items])
    assert right / len(items) == pytest.approx(0.905, abs=0.0025)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_export_is_torchs_network(session, images, lprnet_data, batch):
    model = load_checkpoint(lprnet_data / "Final_LPRNet_model.pth", num_classes=68)
    (logits,) = session.run(["logits"], {"image": images[:batch]})
    with torch.inference_mode():
        expected = model(torch.from_numpy(images[:batch])).numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
