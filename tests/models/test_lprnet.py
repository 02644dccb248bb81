"""LPRNet in torch is the reference network, in both ways of pooling."""

from __future__ import annotations

import pytest
import torch
from models_support import random_lprnet

from lprc.models.checkpoint import load_checkpoint
from lprc.models.ctc import greedy_decode
from lprc.models.images import load_batch
from lprc.models.labels import read_labelled
from lprc.models.metrics import exact_matches
from lprc.models.plate_config import PlateConfig

IMAGES = torch.randn(3, 3, 24, 94, generator=torch.Generator().manual_seed(1))


def test_shapes():
    assert random_lprnet(37)(IMAGES).shape == (3, 37, 18)


def test_both_pools_give_the_same_values():
    one, other = random_lprnet(pool="3d"), random_lprnet(pool="slice")
    with torch.inference_mode():
        torch.testing.assert_close(one(IMAGES), other(IMAGES), rtol=0, atol=0)


def test_per_sample_mean_equals_batches_of_one():
    reference, per_sample = random_lprnet(), random_lprnet(batch_mean=False)
    with torch.inference_mode():
        alone = torch.cat([reference(image[None]) for image in IMAGES])
        torch.testing.assert_close(per_sample(IMAGES), alone, rtol=1e-5, atol=1e-5)
        assert (reference(IMAGES) - alone).abs().max() > 1e-4


def test_real_weights_reach_the_published_accuracy(lprnet_data):
    config = PlateConfig.named("lprnet")
    model = load_checkpoint(lprnet_data / "Final_LPRNet_model.pth", pool="slice", batch_mean=False)
    items = read_labelled(lprnet_data / "val", config)
    with torch.inference_mode():
        logits = model(torch.from_numpy(load_batch([item.path for item in items], config)))
    right = exact_matches(greedy_decode(logits.numpy(), config), [item.label for item in items])
    assert right / len(items) == pytest.approx(0.905, abs=0.0025)
