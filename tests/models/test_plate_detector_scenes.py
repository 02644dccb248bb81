"""Street scenes: the same seed draws the same, boxes lie around what was drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from models_support import skip_without_fonts
from PIL import Image

from lprc.core.errors import DataError
from lprc.models.plate_detector.frames import load_frames
from lprc.models.plate_detector.scene_camera import paste_plate, turned_corners
from lprc.models.plate_detector.scene_vehicles import Mount
from lprc.models.plate_detector.scenes import Scene, frame_scene, readable_scene, street_scene


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    skip_without_fonts()
    return [street_scene(index, 7) for index in range(40)]


def test_same_seed_draws_the_same_scenes(scenes):
    for index in (3, 11):
        again = street_scene(index, 7)
        assert again.image.tobytes() == scenes[index].image.tobytes()
        assert again.boxes.tobytes() == scenes[index].boxes.tobytes()
    assert street_scene(3, 8).image.tobytes() != scenes[3].image.tobytes()


def test_readable_scenes_say_what_stands_on_their_plates():
    skip_without_fonts()
    scene, again = readable_scene(1, 5), readable_scene(1, 5)
    assert scene.image.tobytes() == again.image.tobytes()
    assert scene.texts == again.texts == ("81BXJ55", "149KZG", "S73303", "JPM6680")
    assert scene.boxes.shape == (4, 4)
    others = [readable_scene(index, 5) for index in range(2, 8)]
    assert all(len(other.texts) == len(other.boxes) for other in others)


def test_boxes_lie_inside_of_the_picture(scenes):
    assert {(scene.image.shape, scene.image.dtype.name) for scene in scenes} == {
        ((360, 640, 3), "uint8")
    }
    boxes = np.concatenate([scene.boxes for scene in scenes])
    assert boxes.dtype == np.float32
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 640).all()
    assert (boxes[:, 3] <= 360).all()
    assert (boxes[:, 2:] - boxes[:, :2] >= 4).all()


def test_scenes_have_none_to_several_plates_of_many_sizes(scenes):
    counts = {len(scene.boxes) for scene in scenes}
    assert {0, 1, 2, 3} <= counts
    widths = np.concatenate([scene.boxes[:, 2] - scene.boxes[:, 0] for scene in scenes])
    assert widths.min() < 40
    assert widths.max() > 120


def test_a_frontal_plate_fills_its_box_and_nothing_else():
    picture = Image.new("RGB", (640, 360), (0, 0, 0))
    corners = turned_corners(Mount(x=100.0, y=60.0, width=80.0), 4.0, (0.0, 0.0, 0.0))
    np.testing.assert_allclose(corners, [(60, 50), (140, 50), (140, 70), (60, 70)])
    paste_plate(picture, Image.new("RGB", (200, 50), (255, 255, 255)), corners)
    pixels = np.asarray(picture)
    assert (pixels[50:70, 60:140] == 255).all()
    assert pixels.sum() == 255 * 3 * 20 * 80


@pytest.mark.parametrize("turns", [(0.5, 0.1, 0.0), (-0.4, 0.0, 0.2), (0.0, 0.3, -0.1)])
def test_a_turned_plate_lies_in_the_box_of_its_corners(turns):
    picture = Image.new("RGB", (640, 360), (0, 0, 0))
    corners = turned_corners(Mount(x=320.0, y=180.0, width=160.0), 4.0, turns)
    paste_plate(picture, Image.new("RGB", (160, 40), (255, 255, 255)), corners)
    rows, columns = np.nonzero(np.asarray(picture)[..., 0] > 127)
    drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    np.testing.assert_allclose(drawn, box, atol=2)


def test_plates_are_added_where_a_frame_has_none(scenes):
    frame = next(scene for scene in scenes if len(scene.boxes) == 2)
    for index in range(10):
        more = frame_scene(frame, index, 1)
        assert np.array_equal(more.boxes[:2], frame.boxes)
        for left, top, right, bottom in more.boxes[2:]:
            for box in frame.boxes:
                assert right <= box[0] or left >= box[2] or bottom <= box[1] or top >= box[3]
        if len(more.boxes) > 2:
            assert not np.array_equal(more.image, frame.image)


def write_frames(folder, bbox, size=(640, 360)):
    Image.new("RGB", size, (9, 9, 9)).save(folder / "a.png")
    document = {
        "images": [{"id": 5, "file_name": "a.png"}],
        "annotations": [{"image_id": 5, "category_id": 1, "bbox": bbox}],
        "categories": [{"id": 1, "name": "plate"}],
    }
    (folder / "instances.json").write_text(json.dumps(document))


def test_frames_come_from_cocos_annotations(tmp_path):
    write_frames(tmp_path, [10, 20, 30, 8])
    (frame,) = load_frames(tmp_path)
    assert frame.boxes.tolist() == [[10, 20, 40, 28]]
    assert frame.image.shape == (360, 640, 3)


def test_a_larger_frame_is_scaled_with_its_boxes(tmp_path):
    write_frames(tmp_path, [10, 20, 30, 8], size=(1280, 720))
    (frame,) = load_frames(tmp_path)
    assert frame.boxes.tolist() == [[5, 10, 20, 14]]
    assert frame.image.shape == (360, 640, 3)


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no labels"):
        load_frames(tmp_path)


def test_annotations_of_another_form_are_refused(tmp_path):
    write_frames(tmp_path, [10, 20, 30])
    with pytest.raises(DataError, match="must be four numbers"):
        load_frames(tmp_path)


def test_a_picture_that_is_none_is_refused(tmp_path):
    write_frames(tmp_path, [10, 20, 30, 8])
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.png: can't be read"):
        load_frames(tmp_path)
