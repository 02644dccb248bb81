"""Images as inputs: sizes, borders, colours, ranges."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lprc.core.tasks.image_input import ImageInput
from lprc.core.tasks.placement import Placement


def settings(**changes):
    return ImageInput.model_validate({"width": 4, "height": 4, "color": "RGB", **changes})


def red(width=4, height=4):
    return Image.new("RGB", (width, height), (250, 20, 0))


@pytest.mark.parametrize(
    ("color", "first"), [("RGB", [250, 20, 0]), ("BGR", [0, 20, 250]), ("GRAY", [86])]
)
def test_colours_in_the_order_asked_for(tmp_path, color, first):
    red().save(tmp_path / "a.png")
    array, _ = settings(color=color).read(tmp_path / "a.png")
    assert array[:, 0, 0].tolist() == first
    assert array.dtype == np.float32


def test_layout_and_bytes():
    array = settings(layout="NHWC", dtype="uint8", mean=9, scale=3).array(red())
    assert (array.shape, array.dtype) == ((4, 4, 3), np.uint8)
    assert array[0, 0].tolist() == [250, 20, 0]


def test_a_mean_and_a_scale_for_each_channel():
    array = settings(mean=[50, 10, 1], scale=[0.5, 1, 2]).array(red())
    assert array[:, 0, 0].tolist() == [100, 10, -2]
    assert settings(mean=[0, 10, 0], scale=[1, 1, -2]).range == (-510, 255)


@pytest.mark.parametrize(
    ("resize", "columns"),
    [("letterbox", [114, 250, 250, 114]), ("stretch", [250] * 4), ("crop", [250] * 4)],
)
def test_a_tall_image_in_a_square(resize, columns):
    array = settings(resize=resize).array(red(10, 20))
    assert array[0, 1].tolist() == columns


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("image", [(10, 20), (640, 360), (7, 3)])
def test_places_in_the_input_lead_back_to_the_image(resize, image):
    place = Placement.of(image, (320, 240), resize)
    left, top = place.left, place.top
    assert place.to_image(left, top) == pytest.approx((0, 0))
    assert place.to_image(left + place.scaled[0], top + place.scaled[1]) == pytest.approx(image)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", 0),
        ("mean", []),
        ("mean", [1, 2, 3, 4]),
        ("scale", 0),
        ("color", "GRB"),
        ("depth", 3),
    ],
)
def test_what_is_no_input(key, value):
    with pytest.raises(ValueError, match=key):
        settings(**{key: value})
