"""COCO's and YOLO's annotations become boxes, and bad ones are refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from detection_support import detector
from PIL import Image

from lprc.core.errors import DataError


def write_image(path, size=(100, 50)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def coco(**changes):
    """One image of 100 x 50 with one bus."""
    document = {
        "images": [{"id": 7, "file_name": "a.png", "width": 100, "height": 50}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 8.5], "iscrowd": 0}
        ],
        "categories": [{"id": 3, "name": "bus"}, {"id": 4, "name": "tree"}],
    }
    return {**document, **changes}


def box(**changes):
    return [{**coco()["annotations"][0], **changes}]


def write_coco(folder, document, name="instances.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(document))


TASK = detector(["car", "bus"])


def test_cocos_boxes_are_left_top_width_height(tmp_path):
    write_image(tmp_path / "a.png")
    write_coco(tmp_path, coco())
    (sample,) = TASK.labelled(tmp_path)
    assert sample.path == tmp_path / "a.png"
    assert sample.labels == (tmp_path / "instances.json",)
    assert sample.truth.boxes.tolist() == [[10, 20, 40, 28.5]]
    assert sample.truth.classes.tolist() == [1]
    assert sample.truth.crowd.tolist() == [False]


def test_an_image_without_annotations_has_no_boxes_and_crowds_are_marked(tmp_path):
    for name in "ab":
        write_image(tmp_path / f"{name}.png")
    images = [{"id": 9, "file_name": "b.png"}, {"id": 7, "file_name": "a.png"}]
    write_coco(tmp_path, coco(images=images, annotations=box(iscrowd=1)))
    first, second = TASK.labelled(tmp_path)  # by id
    assert (first.path.name, second.path.name) == ("a.png", "b.png")
    assert first.truth.crowd.tolist() == [True]
    assert second.truth.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("images/a.png", "annotations.json"),
        ("images/a.png", "annotations/instances.json"),
        ("val2017/a.png", "annotations/instances_val2017.json"),
        ("a.png", "_annotations.coco.json"),
    ],
)
def test_images_lie_beside_the_file_or_where_coco_has_them(tmp_path, image, file):
    write_image(tmp_path / image)
    write_coco((tmp_path / file).parent, coco(), (tmp_path / file).name)
    place = tmp_path if "/" not in file else tmp_path / file
    (sample,) = TASK.labelled(place)
    assert sample.path.resolve() == (tmp_path / image).resolve()


def test_the_task_file_names_the_annotations(tmp_path):
    write_image(tmp_path / "photos" / "a.png")
    write_coco(tmp_path, coco(), "test.json")
    task = detector(["car", "bus"], data={"annotations": "test.json", "images": "photos"})
    assert len(task.labelled(tmp_path)) == 1
    assert task.unlabelled(tmp_path) == [tmp_path / "photos" / "a.png"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (coco(annotations=box(category_id=4)), "annotations.0: unknown category 4, 'tree'"),
        (coco(annotations=box(category_id=5)), "unknown category 5, which the file does not list"),
        (coco(annotations=box(image_id=8)), "annotations.0: image 8 is not listed"),
        (coco(annotations=box(bbox=[10, 20, 30])), r"annotations\.0\.bbox: must be four numbers"),
        (coco(annotations=box(bbox=[80, 20, 30, 8])), "80, 20 to 110, 28 lies outside .* 100 x 50"),
        (coco(annotations=box(bbox=[-5, 20, 30, 8])), "lies outside"),
        (coco(annotations=box(bbox=[10, 20, 0, 8])), "a box of 0 x 8 pixels"),
        (coco(images=[{"id": 7, "file_name": "b.png"}]), "image 'b.png' is missing"),
        (coco(images=[{"id": 7, "file_name": "../b.png"}]), "image '../b.png' is"),
        (
            coco(images=[{"id": 7, "file_name": "a.png", "width": 50, "height": 100}]),
            "a.png: is 100 x 50, and its annotations are for 50 x 100",
        ),
        (coco(images=coco()["images"] * 2), "two images have one id"),
        (coco(images=[]), "lists no images"),
        ({"images": []}, "key 'annotations' is missing"),
        ([1], "must be an object"),
    ],
)
def test_bad_annotations_of_coco_are_refused(tmp_path, document, message):
    write_image(tmp_path / "a.png")
    write_coco(tmp_path, document)
    with pytest.raises(DataError, match=message):
        TASK.labelled(tmp_path)


def test_a_box_a_pixel_beyond_the_edge_is_cut_off(tmp_path):
    write_image(tmp_path / "a.png")
    write_coco(tmp_path, coco(annotations=box(bbox=[-0.5, 20, 101, 30])))
    (sample,) = TASK.labelled(tmp_path)
    assert sample.truth.boxes.tolist() == [[0, 20, 100, 50]]


def test_an_image_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    write_coco(tmp_path, coco())
    with pytest.raises(DataError, match=r"a\.png: can't be read: not an image"):
        TASK.labelled(tmp_path)


def test_a_folder_without_labels_says_what_they_would_be(tmp_path):
    write_image(tmp_path / "a.png")
    with pytest.raises(DataError, match="has no labels") as error:
        TASK.labelled(tmp_path)
    assert "instances.json" in error.value.hint
    with pytest.raises(DataError, match="no such folder"):
        TASK.labelled(tmp_path / "missing")


def write_yolo(folder, text, name="a"):
    write_image(folder / "images" / f"{name}.png")
    (folder / "labels").mkdir(exist_ok=True)
    if text is not None:
        (folder / "labels" / f"{name}.txt").write_text(text)


def test_yolos_boxes_are_centres_and_sizes_in_parts_of_the_image(tmp_path):
    write_yolo(tmp_path, "1 0.25 0.5 0.3 0.2\n\n0 0.5 0.5 1 1\n")
    write_yolo(tmp_path, None, "b")
    first, second = TASK.labelled(tmp_path)
    np.testing.assert_allclose(first.truth.boxes, [[10, 20, 40, 30], [0, 0, 100, 50]])
    assert first.truth.classes.tolist() == [1, 0]
    assert first.labels == (tmp_path / "labels" / "a.txt",)
    assert len(second.truth.boxes) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", "a.txt:1: class 2 is none of the 2"),
        ("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1", "a.txt:2: has 4 cells, not 5 finite numbers"),
        ("0 nan 0.5 0.1 0.1", "a.txt:1: has 5 cells, not 5 finite numbers"),
        ("car 0.5 0.5 0.1 0.1", "a.txt:1: invalid literal"),
        ("0 50 25 10 10", "a.txt:1: the box .* lies outside"),
        ("0 0.9 0.5 0.3 0.1", "lies outside of the image, which is 100 x 50"),
    ],
)
def test_bad_labels_of_yolo_are_refused(tmp_path, text, message):
    write_yolo(tmp_path, text)
    with pytest.raises(DataError, match=message):
        TASK.labelled(tmp_path)


def test_labels_without_an_image_are_refused(tmp_path):
    write_yolo(tmp_path, "0 0.5 0.5 0.1 0.1")
    (tmp_path / "labels" / "b.txt").write_text("")
    with pytest.raises(DataError, match=r"b\.txt: has no image in"):
        TASK.labelled(tmp_path)


def test_an_empty_folder_of_labels_is_refused(tmp_path):
    write_yolo(tmp_path, None)
    with pytest.raises(DataError, match=r"no \.txt in it"):
        TASK.labelled(tmp_path)


def test_calibration_takes_the_images_of_either_layout(tmp_path):
    write_yolo(tmp_path / "yolo", "0 0.5 0.5 0.1 0.1")
    write_image(tmp_path / "coco" / "a.png")
    write_coco(tmp_path / "coco", coco())
    assert [path.name for path in TASK.unlabelled(tmp_path / "yolo")] == ["a.png"]
    assert [path.name for path in TASK.unlabelled(tmp_path / "coco")] == ["a.png"]
    file = tmp_path / "coco" / "instances.json"
    assert [path.name for path in TASK.unlabelled(file)] == ["a.png"]
