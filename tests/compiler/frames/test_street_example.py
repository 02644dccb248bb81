"""The street scenes of examples/street, through the networks that ship."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lprc.compiler.frames.evaluate import evaluate_pipeline
from lprc.compiler.frames.execute import answer_one
from lprc.compiler.frames.frame import Frame
from lprc.compiler.frames.opened import Networks, opened
from lprc.compiler.frames.read_pipeline import read_pipeline
from lprc.compiler.frames.share import Share
from lprc.core.tasks.image_files import read_image

STREET = Path(__file__).parents[3] / "examples" / "street"


@pytest.fixture(scope="module")
def networks() -> Networks:
    return shipped(weak_boxes=False)


def shipped(*, weak_boxes: bool) -> Networks:
    """The models as they are, before any compile."""
    pipeline = read_pipeline(STREET / "street.toml")
    models = {
        name: table.model_copy(update={"target": None, "embed": (), "calib": None})
        for name, table in pipeline.file.models.items()
    }
    plain = replace(pipeline, file=pipeline.file.model_copy(update={"models": models}))
    places = {name: plain.model(name) for name in plain.file.order}
    return opened(plain, places, Share(1, 1), weak_boxes=weak_boxes)


def test_the_plates_of_the_first_scene_are_read(networks: Networks):
    path = STREET / "scenes" / "0.jpg"
    frame = answer_one(Frame(str(path), 0, read_image(path)), networks)
    texts = [
        found.readings["reader"].text for found in frame.reading.shown_boxes() if found.readings
    ]
    assert {"S73303", "JPM6680", "81BXJ55"} <= set(texts)
    assert len(texts) == 4


def test_weak_boxes_take_nothing_away(networks: Networks):
    all_boxes = shipped(weak_boxes=True)
    for path in sorted((STREET / "scenes").glob("*.jpg")):
        image = read_image(path)
        frames = [answer_one(Frame(str(path), 0, image), some) for some in (networks, all_boxes)]
        assert frames[0].document() == frames[1].document()
        assert len(frames[0].reading.value.scores) < len(frames[1].reading.value.scores)


def test_most_plates_are_read_end_to_end():
    pytest.importorskip("pycocotools")
    score = evaluate_pipeline(shipped(weak_boxes=True), STREET / "scenes")
    (reader,) = score.readers
    assert score.detection.value > 0.97
    assert reader.end_to_end.total == 21
    assert reader.end_to_end.correct >= 16
