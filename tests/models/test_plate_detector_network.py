"""The plate detector is small, takes its sizes, and is the same network in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from lprc.core.errors import DataError, UsageError
from lprc.models.plate_detector.export import export_detector, load_detector
from lprc.models.plate_detector.network import (
    DeployedDetector,
    PlateDetector,
    boxes_at,
    grid_points,
)

HEIGHT, WIDTH = 64, 96


def random_detector(width: float = 0.25) -> PlateDetector:
    torch.manual_seed(0)
    network = PlateDetector(width)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def test_the_network_that_ships_is_small():
    assert sum(parameter.numel() for parameter in PlateDetector().parameters()) <= 400_000


def test_one_score_and_four_distances_at_each_point():
    logits, distances = random_detector()(torch.zeros(2, 3, HEIGHT, WIDTH))
    points, strides = grid_points(HEIGHT, WIDTH)
    assert logits.shape == (2, len(points))
    assert distances.shape == (2, len(points), 4)
    assert points.shape == (8 * 12 + 4 * 6, 2)
    assert points[0].tolist() == [4, 4]
    assert points[1].tolist() == [12, 4]
    assert points[-1].tolist() == [WIDTH - 8, HEIGHT - 8]
    assert strides.flatten().unique().tolist() == [8, 16]


def test_distances_are_strides_from_the_point():
    points, strides = grid_points(HEIGHT, WIDTH)
    boxes = boxes_at(points, strides, torch.tensor((1.0, 2.0, 3.0, 4.0)).expand(1, len(points), 4))
    assert boxes[0, 0].tolist() == [4 - 8, 4 - 16, 4 + 24, 4 + 32]
    assert boxes[0, -1].tolist() == [88 - 16, 56 - 32, 88 + 48, 56 + 64]


def test_the_deployed_boxes_are_those_that_were_trained():
    network, image = random_detector(), torch.rand(2, 3, HEIGHT, WIDTH)
    logits, distances = network(image)
    scores, boxes = DeployedDetector(network, HEIGHT, WIDTH)(image)
    torch.testing.assert_close(scores, logits.sigmoid())
    torch.testing.assert_close(boxes, boxes_at(*grid_points(HEIGHT, WIDTH), distances))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "detector.onnx"
    export_detector(random_detector(), path, height=HEIGHT, width=WIDTH)
    return path


@pytest.mark.parametrize("batch", [1, 3])
def test_onnx_runtime_gives_the_scores_and_boxes_of_torch(exported, batch):
    image = np.random.default_rng(0).standard_normal((batch, 3, HEIGHT, WIDTH), np.float32)
    session = ort.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    scores, boxes = session.run(["scores", "boxes"], {"image": image})
    with torch.inference_mode():
        expected = DeployedDetector(random_detector(), HEIGHT, WIDTH)(torch.from_numpy(image))
    np.testing.assert_allclose(scores, expected[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(boxes, expected[1].numpy(), atol=1e-3)
    assert float(np.ptp(boxes[..., 0] + boxes[..., 2])) > 0


def test_the_graph_has_only_operators_that_8_bit_runtimes_take(exported):
    proto = onnx.load(exported)
    onnx.checker.check_model(proto, full_check=True)
    assert {node.op_type for node in proto.graph.node} <= {
        *("Conv", "BatchNormalization", "Relu", "Add", "Resize", "Concat", "Reshape", "Flatten"),
        *("Transpose", "Sigmoid", "Mul", "Constant", "Shape", "Squeeze"),
    }


@pytest.mark.parametrize("size", [(360, 640), (384, 630), (0, 640), (-32, 640)])
def test_a_size_that_is_no_multiple_of_32_is_refused(tmp_path, size):
    with pytest.raises(UsageError, match="can't take images of"):
        export_detector(PlateDetector(0.25), tmp_path / "x.onnx", height=size[0], width=size[1])
    assert not list(tmp_path.iterdir())


def test_weights_are_read_back(tmp_path):
    network = random_detector()
    torch.save(network.state_dict(), tmp_path / "best.pt")
    image = torch.rand(1, 3, HEIGHT, WIDTH)
    again = load_detector(tmp_path / "best.pt", width=0.25)
    assert all(torch.equal(*pair) for pair in zip(network(image), again(image), strict=True))


@pytest.mark.parametrize("content", ["other", "text"])
def test_other_files_are_no_weights(tmp_path, content):
    path = tmp_path / "best.pt"
    if content == "text":
        path.write_text("not weights")
    else:
        torch.save(PlateDetector(0.5).state_dict(), path)
    with pytest.raises(DataError, match="holds no weights of the plate detector"):
        load_detector(path)
