"""The plate detector that ships finds plates, is small, and is the network of this repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from models_support import skip_without_fonts
from torch import Tensor

from lprc.models.plate_detector.evaluation import Detector, score_pool
from lprc.models.plate_detector.frames import load_frames
from lprc.models.plate_detector.network import DeployedDetector, PlateDetector
from lprc.models.plate_detector.picture_pool import PicturePool
from lprc.models.plate_detector.scenes import Scene, street_scene

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "plate_detector.onnx"
SIZE = (384, 640)
FRESH_SEED = 77
"""Training took 1 and 1,000,001."""


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """The parameters and statistics of the shipped file, as `PlateDetector` names them."""
    prefix = "network."
    return {
        tensor.name.removeprefix(prefix): torch.tensor(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(MODEL).graph.initializer
        if tensor.name.startswith(prefix)
    }


@pytest.fixture(scope="module")
def detector() -> Detector:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])

    def detect(images: Tensor) -> tuple[Tensor, Tensor]:
        scores, boxes = session.run(["scores", "boxes"], {"image": images.numpy()})
        return torch.from_numpy(scores), torch.from_numpy(boxes)

    return detect


def score_scenes(detector: Detector, scenes: list[Scene]) -> float:
    pool = PicturePool(len(scenes), "cpu")
    pool.add_scenes(scenes)
    return score_pool(detector, pool, SIZE, batch=4).value


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    skip_without_fonts()
    return [street_scene(index, FRESH_SEED) for index in range(30)]


def test_it_finds_the_plates_of_fresh_synthetic_scenes(detector, scenes):
    assert score_scenes(detector, scenes) >= 0.93


@pytest.mark.data
def test_it_finds_the_plates_of_photographs(detector, frames):
    photographs = load_frames(frames / "val")
    assert len(photographs) == 98
    assert score_scenes(detector, photographs) >= 0.95


def test_it_is_small(weights):
    parameters = [size for name, size in weights.items() if ".running_" not in name]
    assert sum(parameter.numel() for parameter in parameters) <= 400_000


def test_torch_gives_the_same_from_the_weights_in_the_file(weights, detector):
    network = PlateDetector()
    network.load_state_dict(weights)
    generator = np.random.default_rng(0)
    image = torch.from_numpy(generator.uniform(-1, 1, (2, 3, *SIZE)).astype(np.float32))
    with torch.inference_mode():
        expected = DeployedDetector(network.eval(), *SIZE)(image)
    scores, boxes = detector(image)
    torch.testing.assert_close(scores, expected[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(boxes, expected[1], atol=1e-2, rtol=1e-4)
    assert float(expected[0].std()) > 0


def test_the_licence_of_its_photographs_lies_beside_it():
    text = MODEL.with_suffix(".LICENSE").read_text()
    assert "Copyright (c) 2020 Robert Lucian Chiriac" in text
    assert "The above copyright notice and this permission notice shall be included" in text
