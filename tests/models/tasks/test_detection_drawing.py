"""Words over pictures, in whatever script they are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lprc.models.tasks.detection import lettering as module
from lprc.models.tasks.detection.drawing import draw_boxes
from lprc.models.tasks.detection.lettering import lacks_glyphs, lettering


def ink(text: str) -> np.ndarray:
    return np.asarray(lettering(text, 32)) > 128


@pytest.mark.parametrize("text", ["A", "plate 0.97", "京", "皖A12345", "É"])
def test_every_character_has_a_shape_of_its_own(text: str):
    pytest.importorskip("cv2")
    assert not lacks_glyphs(text)
    assert 0.03 < ink(text).mean() < 0.6
    other = ink(text[:-1] + "国")
    assert ink(text).shape != other.shape or (ink(text) != other).any()


def test_chinese_characters_are_not_all_one_box():
    pytest.importorskip("cv2")
    shapes = {ink(sign).tobytes() for sign in "京沪津渝冀晋蒙辽吉黑"}
    assert len(shapes) == 10


def test_without_a_font_it_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "has_every_script", lambda: False)
    assert lacks_glyphs("京A1")
    assert not lacks_glyphs("A1")
    assert ink("京A1").any()


def test_a_word_stays_inside_of_the_picture():
    image = Image.new("RGB", (200, 60))
    drawn = np.asarray(draw_boxes(image, [((150, 2, 199, 40), "a long word")], "#ffffff"))
    assert drawn[:, -1].any()
    assert draw_boxes(image, [((5, 5, 20, 20), "")], "#ff0000").getpixel((5, 5)) == (255, 0, 0)
