"""The benchmark's own arithmetic and drawings; the tools that it compares are not run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nncf")
pytest.importorskip("openvino")
pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import _quantization_data as data
import _quantization_networks as networks
import quantization


def test_drawings_repeat_and_name_what_is_in_them():
    images, labels, masks = data.drawn(6, 5, several=True)
    again = data.drawn(6, 5, several=True)
    assert all(np.array_equal(a, b) for a, b in zip((images, labels, masks), again, strict=True))
    assert images.shape == (6, 3, data.SIDE, data.SIDE)
    assert images.dtype == np.float32
    assert 0 < masks.max() < data.THINGS


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_networks_give_a_score_for_each_class(name):
    import torch

    network = networks.NETWORKS[name]
    if network.target == "street" and not (data.DATA.parent / "camvid").is_dir():
        pytest.skip("no CamVid beside LPRC_DATA")
    images, classes = network.task(2, seed=1)
    outputs = network.module().eval()(torch.from_numpy(images))
    logits = (outputs if isinstance(outputs, torch.Tensor) else outputs[0]).detach().numpy()
    assert logits.argmax(1).shape == classes.shape
    assert logits.shape[1] > classes[classes != data.UNLABELLED].max()


def test_agreement():
    expected = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    classes = np.array([0, 0])
    same = quantization.agreement(expected, expected, classes)
    assert same["top-1 agreement"] == same["cosine"] == 1
    assert same["SNR dB"] > 100
    assert same["accuracy"] == 0.5
    wrong = quantization.agreement(expected[::-1], expected, classes)
    assert wrong["top-1 agreement"] == wrong["cosine"] == 0
    assert wrong["SNR dB"] == pytest.approx(-10 * np.log10(2))


def test_pixels_without_a_class_do_not_count():
    expected = np.zeros((1, 2, 1, 2), np.float32)
    expected[0, 1] = 1
    classes = np.array([[[1, data.UNLABELLED]]])
    assert quantization.agreement(expected, expected, classes)["accuracy"] == 1


def test_mean_iou_of_pixels():
    expected = np.zeros((1, 2, 1, 4), np.float32)
    expected[0, 1, 0, 2:] = 1
    found = np.zeros_like(expected)
    found[0, 1, 0, 3:] = 1
    quality = quantization.agreement(found, expected, np.zeros((1, 1, 4), np.int64))
    assert quality["mean IoU"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert quality["top-1 agreement"] == 0.75
