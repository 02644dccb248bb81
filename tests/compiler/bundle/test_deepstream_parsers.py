"""The parser library finds the boxes and reads the texts that lprc's tasks do, from real outputs."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from nvinfer_parsers import ParserError
from PIL import Image

from lprc.compiler.artifact.artifact import open_artifact
from lprc.core.files.image_listing import list_images
from lprc.core.running.numerics import Session
from lprc.core.tasks.image_files import read_image
from lprc.models.plate_detector.scenes import street_scene

MODELS = Path(__file__).parents[3] / "models"
MARGIN = np.array([0.06, 0.12])


@functools.cache
def _network(folder: Path):
    return Session(folder / "lowered.onnx"), open_artifact(folder).task


def _outputs(folder, image):
    session, task = _network(folder)
    return task, session.run({"image": task.input.array(image)[None]})


def _one(outputs):
    return {name: array[0] for name, array in outputs.items()}


def _scenes():
    return [Image.fromarray(street_scene(index, 7).image) for index in range(12)]


def _widened(boxes, size):
    """Left, top, width and height of boxes cut off at the input and widened by the margin."""
    boxes = np.clip(boxes, 0, [*size, *size])
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] - MARGIN * sides, sides * (1 + 2 * MARGIN)], axis=1)


def _check_boxes(deepstream, parsers, images, threshold):
    total = 0
    for image in images:
        task, outputs = _outputs(deepstream / "models" / "detector", image)
        (answer,) = task.answers(outputs, [None])
        expected = answer.at_least(np.float32(threshold))
        rows = parsers.boxes(
            "NvDsInferParseCustom_detector", _one(outputs), task.input.size, [threshold]
        )
        count = min(len(expected.scores), 8)
        assert len(rows) == count
        np.testing.assert_allclose(
            rows[:, :4], _widened(expected.boxes[:count], task.input.size), atol=2e-4
        )
        assert rows[:, 4].tolist() == expected.scores[:count].tolist()
        assert rows[:, 5].tolist() == expected.classes[:count].tolist()
        total += count
    return total


def test_same_boxes_in_drawn_scenes(deepstream, parsers):
    assert _check_boxes(deepstream, parsers, _scenes(), 0.01) > 60
    assert _check_boxes(deepstream, parsers, _scenes(), 0.4) > 12


def test_same_boxes_in_all_photographs(deepstream, parsers, frames):
    images = [read_image(path) for path in sorted((frames / "val").rglob("*.jpg"))]
    assert len(images) == 98
    assert _check_boxes(deepstream, parsers, images, 0.4) >= 98


def test_same_texts_of_all_plates(deepstream, parsers):
    texts = set()
    for path in list_images(MODELS / "synthetic_plates" / "test"):
        task, outputs = _outputs(deepstream / "models" / "reader", read_image(path))
        (expected,) = task.answers(outputs, [None])
        (confidences,) = task.confidences(outputs)
        read = parsers.text("NvDsInferParseCustom_reader", _one(outputs), task.input.size)
        assert read[0] == expected
        assert read[1] == pytest.approx(min(confidences), rel=1e-6)
        texts.add(expected)
    assert len(texts) > 280


def test_an_engine_of_another_model_is_refused(deepstream, parsers, capfd):
    task, outputs = _outputs(deepstream / "models" / "detector", _scenes()[0])
    boxes = {"boxes": outputs["boxes"][0]}
    with pytest.raises(ParserError):
        parsers.boxes("NvDsInferParseCustom_detector", boxes, task.input.size, [0.4])
    assert "the engine has no output 'scores'" in capfd.readouterr().err
    fewer = {"boxes": outputs["boxes"][0][:10], "scores": outputs["scores"][0]}
    with pytest.raises(ParserError):
        parsers.boxes("NvDsInferParseCustom_detector", fewer, task.input.size, [0.4])
    assert "10 boxes and 4800 scores" in capfd.readouterr().err
    whole = {name: array.astype(np.int32) for name, array in _one(outputs).items()}
    with pytest.raises(ParserError):
        parsers.boxes("NvDsInferParseCustom_detector", whole, task.input.size, [0.4])
    assert "another element type" in capfd.readouterr().err
