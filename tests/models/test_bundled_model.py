"""The bundled model reads the bundled plates, and both come from the commands that we document."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from lprc.models import bundle
from lprc.models.bundle import BUNDLED_MODEL, BUNDLED_PLATES, write_plates
from lprc.models.ctc import greedy_decode
from lprc.models.images import load_batch
from lprc.models.labels import read_labelled
from lprc.models.metrics import exact_matches
from lprc.models.plate_config import PlateConfig
from lprc.models.synthetic import generate
from lprc.models.synthetic_fonts import FONT_FILES, find_font

MODELS = Path(bundle.__file__).parent
MODEL = MODELS / BUNDLED_MODEL
PLATES = MODELS / BUNDLED_PLATES


@pytest.fixture(scope="module")
def config() -> PlateConfig:
    return PlateConfig.named("synthetic")


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("folder", "count"), [("test", 300), ("calib", 100)])
def test_bundled_model_reads_the_bundled_plates(
    folder: str, count: int, config: PlateConfig, session: onnxruntime.InferenceSession
) -> None:
    plates = read_labelled(PLATES / folder, config)
    assert len(plates) == count
    images = load_batch([plate.path for plate in plates], config)
    logits = session.run(["logits"], {"image": images})[0]
    read = greedy_decode(logits, config)
    assert exact_matches(read, [plate.label for plate in plates]) / count >= 0.95


def test_a_batch_is_read_as_its_plates_are(
    config: PlateConfig, session: onnxruntime.InferenceSession
) -> None:
    plates = read_labelled(PLATES / "test", config)[:4]
    images = load_batch([plate.path for plate in plates], config)
    together = session.run(["logits"], {"image": images})[0]
    alone = [session.run(["logits"], {"image": image[None]})[0] for image in images]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-4)


def test_bundled_model_keeps_the_form_it_was_trained_in() -> None:
    model = onnx.load(MODEL)
    pools = [node for node in model.graph.node if node.op_type == "MaxPool"]
    kernels = [list(a.ints) for pool in pools for a in pool.attribute if a.name == "kernel_shape"]
    assert kernels == [[1, 3, 3]] * 3
    assert "BatchNormalization" in {node.op_type for node in model.graph.node}


def test_plates_are_drawn_again_from_their_seed(config: PlateConfig, tmp_path: Path) -> None:
    if not all(_installed(file_name) for file_name in FONT_FILES):
        pytest.skip("the fonts that plates are drawn with are not installed")
    write_plates(tmp_path, 5, 2_000_002, config)
    drawn = read_labelled(tmp_path, config)
    shipped = read_labelled(PLATES / "test", config)[:5]
    assert [(p.path.name, p.label) for p in drawn] == [(p.path.name, p.label) for p in shipped]
    # JPEG keeps the generator's pixels nearly.
    reread = load_batch([plate.path for plate in drawn], config) / config.scale + config.mean
    for image, (original, _) in zip(reread, generate(5, 2_000_002, config), strict=True):
        error = np.abs(image.transpose(1, 2, 0) - original).mean()
        swapped = np.abs(image.transpose(1, 2, 0) - original[..., ::-1]).mean()
        assert error < min(6, swapped / 2)


def _installed(file_name: str) -> bool:
    from lprc.core.errors import MissingDependencyError

    try:
        find_font(file_name)
    except MissingDependencyError:
        return False
    return True
