"""Each head's outputs become the boxes that were put into them, by arithmetic done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from detection_support import detector, found, logit

from lprc.core.errors import DataError

BOX = [8.0, 4.0, 24.0, 20.0]
"""Its centre is 16, 12 and its sides are 16; the input is 64 x 32."""

STRIDES_8 = {"strides": [8], "score-threshold": 0.2}
"""8 x 4 cells; the cell of column 1, row 1 is number 9 and its point 12, 12."""


def f32(*shape: int, fill: float = 0.0) -> np.ndarray:
    return np.full(shape, fill, np.float32)


def test_boxes_and_scores():
    scores, boxes = f32(1, 5, 2), f32(1, 5, 4)
    scores[0, 3, 1], boxes[0, 3] = 0.75, BOX
    assert found(detector(head="boxes"), s=scores, b=boxes) == [("bus", 0.75, BOX)]


def test_scores_of_one_class_need_no_axis():
    scores, boxes = f32(1, 5), f32(1, 5, 4)
    scores[0, 3], boxes[0, 3] = 0.75, BOX
    assert found(detector(["plate"], head="boxes"), s=scores, b=boxes) == [("plate", 0.75, BOX)]


def test_four_classes_are_told_from_four_sides_by_name():
    scores, boxes = f32(1, 5, 4), f32(1, 5, 4)
    scores[0, 3, 1], boxes[0, 3] = 0.75, BOX
    task = detector(["car", "bus", "van", "tram"], head="boxes")
    assert found(task, cls_scores=scores, bboxes=boxes) == [("bus", 0.75, BOX)]
    with pytest.raises(DataError, match=r"output '[ab]' may be boxes or scores"):
        found(task, a=scores, b=boxes)
    named = detector(task.classes, head="boxes", scores="a")
    assert found(named, a=scores, b=boxes) == [("bus", 0.75, BOX)]


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ("corners", [8, 4, 24, 20]),
        ("corners-yx", [4, 8, 20, 24]),
        ("centers", [16, 12, 16, 16]),
    ],
)
@pytest.mark.parametrize("normalized", [True, False])
def test_forms_of_decoded_boxes(form, numbers, normalized):
    scores, boxes = f32(1, 5, 2), f32(1, 5, 4)
    scores[0, 3, 0], boxes[0, 3] = 0.5, numbers
    if normalized:
        sides = [32, 64, 32, 64] if form == "corners-yx" else [64, 32, 64, 32]
        boxes /= np.array(sides, np.float32)
    task = detector(head="boxes", normalized=normalized, **{"box-format": form})
    assert found(task, s=scores, b=boxes) == [("car", 0.5, BOX)]


@pytest.mark.parametrize("turned", [True, False])
def test_yolov8_decoded(turned):
    joint = f32(1, 6, 40)
    joint[0, :, 7] = [16, 12, 16, 16, 0.125, 0.75]
    output = joint.transpose(0, 2, 1) if turned else joint
    assert found(detector(head="yolov8", **{"score-threshold": 0.2}), o=output) == [
        ("bus", 0.75, BOX)
    ]


def distributions(bins: int) -> np.ndarray:
    """Logits [4 * bins] of left 0.5, top 1, right 1.5, bottom 1 strides of 8 from 12, 12."""
    logits = np.full((4, bins), -50.0, np.float32)
    for side, distance in enumerate((0.5, 1.0, 1.5, 1.0)):
        low = int(distance)
        logits[side, low] = 0.0
        logits[side, low + int(distance > low)] = 0.0
    return logits.reshape(-1)


def test_yolov8_maps_put_boxes_before_scores():
    level = f32(1, 4 * 16 + 2, 4, 8, fill=-20)
    level[0, :64, 1, 1] = distributions(16)
    level[0, 64:, 1, 1] = [-20, logit(0.75)]
    task = detector(head="yolov8-dfl", **STRIDES_8)
    assert found(task, o=level) == [("bus", 0.75, BOX)]


def test_yolov8_maps_of_boxes_and_scores_apart():
    sides, scores = f32(1, 64, 4, 8), f32(1, 2, 4, 8, fill=-20)
    sides[0, :, 1, 1], scores[0, 1, 1, 1] = distributions(16), logit(0.75)
    assert found(detector(head="yolov8-dfl", **STRIDES_8), s=scores, b=sides) == [
        ("bus", 0.75, BOX)
    ]


def test_the_finest_level_comes_first_whatever_the_outputs_order():
    fine, coarse = f32(1, 66, 4, 8, fill=-20), f32(1, 66, 2, 4, fill=-20)
    coarse[0, :64, 0, 1], coarse[0, 65, 0, 1] = distributions(16), logit(0.75)
    task = detector(head="yolov8-dfl", strides=[8, 16], **{"score-threshold": 0.2})
    # The point of column 1, row 0 is 24, 8; distances count in strides of 16.
    assert found(task, a=coarse, b=fine) == [("bus", 0.75, [16.0, -8.0, 48.0, 24.0])]


def test_nanodet_puts_scores_before_boxes_and_points_at_corners():
    rows = f32(1, 32, 2 + 4 * 8)
    rows[0, 9, :2], rows[0, 9, 2:] = [0.75, 0.125], distributions(8)
    task = detector(head="nanodet", **STRIDES_8)
    assert found(task, o=rows) == [("car", 0.75, [4.0, 0.0, 20.0, 16.0])]
    task = detector(head="nanodet", **STRIDES_8, **{"point-offset": 0.5})
    assert found(task, o=rows) == [("car", 0.75, BOX)]


def test_fcos_multiplies_with_the_centre_ness():
    scores, sides, centred = f32(1, 3, 4, 8, fill=-20), f32(1, 4, 4, 8), f32(1, 1, 4, 8)
    scores[0, 2, 1, 1], centred[0, 0, 1, 1] = logit(0.81), logit(0.25)
    sides[0, :, 1, 1] = [0.5, 1, 1.5, 1]
    task = detector(["car", "bus", "van"], head="fcos", **STRIDES_8)
    assert found(task, s=scores, b=sides, c=centred) == [("van", 0.45, BOX)]


def test_fcos_distances_in_pixels():
    scores, sides = f32(1, 3, 4, 8, fill=-20), f32(1, 4, 4, 8)
    scores[0, 2, 1, 1], sides[0, :, 1, 1] = logit(0.81), [4, 8, 12, 8]
    task = detector(["car", "bus", "van"], head="fcos", **STRIDES_8, **{"distance-unit": "pixels"})
    assert found(task, s=scores, b=sides) == [("van", 0.81, BOX)]


def test_yolov5_decoded():
    rows = f32(1, 96, 7)
    rows[0, 40] = [16, 12, 16, 16, 0.5, 0.25, 0.75]
    task = detector(head="yolov5", **{"score-threshold": 0.2})
    assert found(task, o=rows) == [("bus", 0.375, BOX)]


def test_yolox_counts_in_strides_of_each_cell():
    rows = f32(1, 32, 7)
    # Cell 9 begins at 8, 8: the centre is 8 + 1 * 8, 8 + 0.5 * 8; both sides are 8 * 2.
    rows[0, 9] = [1, 0.5, np.log(2), np.log(2), 0.5, 0.25, 0.75]
    assert found(detector(head="yolox", **STRIDES_8), o=rows) == [("bus", 0.375, BOX)]


@pytest.mark.parametrize("five_axes", [True, False])
def test_yolov5_maps(five_axes):
    # Anchor 1 of two, 16 x 4, at column 1, row 1: the cell's middle is 12, 12.
    maps = f32(1, 2, 7, 4, 8, fill=-20)
    # x: 12 + (2 * 0.75 - 1) * 8 = 16; y: 12; width (2 * 0.5)^2 * 16 = 16; height (2 * 1)^2 * 4 = 16
    maps[0, 1, :, 1, 1] = [logit(0.75), 0, 0, 20, logit(0.5), -20, logit(0.75)]
    output = maps.transpose(0, 1, 3, 4, 2) if five_axes else maps.reshape(1, 14, 4, 8)
    anchors = [[[10, 10], [16, 4]]]
    task = detector(head="yolov5", anchors=anchors, **STRIDES_8)
    assert found(task, o=output) == [("bus", 0.375, BOX)]


def ssd_outputs() -> tuple[np.ndarray, np.ndarray]:
    """Cell 9 of stride 8 has priors 8 x 8 and 32 x 8 around 12, 12; the second one's box is BOX."""
    scores, offsets = f32(1, 64, 3), f32(1, 64, 4)
    scores[..., 0] = 20.0
    scores[0, 19] = [np.log(0.125), np.log(0.125), np.log(0.75)]
    offsets[0, 19] = [4 / 32 / 0.1, 0, np.log(0.5) / 0.2, np.log(2) / 0.2]
    return scores, offsets


SSD = {"head": "ssd", "anchors": [[[8, 8], [32, 8]]], **STRIDES_8}


def test_ssd_has_a_background_and_a_softmax():
    scores, offsets = ssd_outputs()
    assert found(detector(**SSD), s=scores, b=offsets) == [("bus", 0.75, BOX)]


def test_ssd_maps_hold_anchor_after_anchor():
    scores, offsets = (
        part.reshape(1, 4, 8, 2, -1).transpose(0, 3, 4, 1, 2).reshape(1, -1, 4, 8)
        for part in ssd_outputs()
    )
    assert found(detector(**SSD), s=scores, b=offsets) == [("bus", 0.75, BOX)]


def test_retinaface_has_square_priors_and_ignores_landmarks():
    # 64 x 32: strides 8, 16, 32 make 32, 8 and 2 cells of 2 priors. Prior 18 is 16 x 16 at 12, 12.
    scores, offsets, landmarks = f32(1, 84, 2), f32(1, 84, 4), f32(1, 84, 10)
    scores[..., 0], scores[0, 18] = 1.0, [0.25, 0.75]
    offsets[0, 18, 0] = 4 / 16 / 0.1
    task = detector(["face"], head="retinaface", **{"score-threshold": 0.2})
    assert found(task, b=offsets, s=scores, l=landmarks) == [("face", 0.75, BOX)]


CORNERS = [[8, 5], [24, 4], [23, 20], [9, 19]]


def landmarks_found(task, **outputs) -> list[list[float]]:
    (answer,) = task.answers(outputs, [None])
    return answer.at_least(0.3).landmarks[0].tolist()


@pytest.mark.parametrize("normalized", [True, False])
def test_decoded_landmarks_stay_with_their_boxes(normalized):
    scores, boxes, points = f32(1, 5, 2), f32(1, 5, 4), f32(1, 5, 8)
    scores[0, 1:3, 1], boxes[0, 2:4] = [0.4, 0.75], BOX
    points[0, 2] = np.ravel(CORNERS)
    if normalized:
        boxes /= np.array([64, 32] * 2, np.float32)
        points /= np.array([64, 32] * 4, np.float32)
    task = detector(head="boxes", normalized=normalized, landmarks="p")
    assert landmarks_found(task, s=scores, b=boxes, p=points) == CORNERS


def test_landmarks_of_priors_are_offsets_from_their_centres():
    scores, offsets, points = f32(1, 84, 2), f32(1, 84, 4), f32(1, 84, 8)
    scores[..., 0], scores[0, 18] = 1.0, [0.25, 0.75]
    points[0, 18] = (np.array(CORNERS) - 12).ravel() / 16 / np.float32(0.1)
    task = detector(["face"], head="retinaface", landmarks="p", **{"score-threshold": 0.2})
    found_points = landmarks_found(task, b=offsets, s=scores, p=points)
    np.testing.assert_allclose(found_points, CORNERS, atol=1e-4)


def test_landmarks_move_with_the_image():
    scores, boxes, points = f32(1, 5, 2), f32(1, 5, 4), f32(1, 5, 8)
    scores[0, 3, 1], boxes[0, 3], points[0, 3] = 0.75, BOX, np.ravel(CORNERS)
    task = detector(head="boxes", landmarks="p")
    place = task.input.placement((128, 64))
    (answer,) = task.answers({"s": scores, "b": boxes, "p": points}, [place])
    np.testing.assert_allclose(answer.at_least(0.3).landmarks[0], np.array(CORNERS) * 2)


def test_other_heads_have_no_landmarks():
    with pytest.raises(DataError, match="has no landmarks"):
        detector(head="fcos", landmarks="p")


ROW = [*BOX, 0.75, 1]


def test_rows_of_suppression_in_the_graph_end_at_minus_one():
    rows = f32(1, 4, 6, fill=-1)
    rows[0, 0] = ROW
    assert found(detector(head="nms"), o=rows) == [("bus", 0.75, BOX)]
    assert found(detector(head="nms"), o=rows[0]) == [("bus", 0.75, BOX)]


def test_rows_are_not_suppressed_again():
    rows = np.array([[ROW, ROW]], np.float32)
    assert len(found(detector(head="nms"), o=rows)) == 2


def test_rows_with_the_number_of_the_image():
    task = detector(head="nms", columns=["image", "class", "score", "x1", "y1", "x2", "y2"])
    rows = np.array([[0, 1, 0.75, *BOX], [1, 0, 0.5, *BOX]], np.float32)
    first, second = task.answers({"o": rows}, [None, None])
    assert (first.classes.tolist(), first.scores.tolist()) == ([1], [0.75])
    assert (second.classes.tolist(), second.scores.tolist()) == ([0], [0.5])


def test_boxes_scores_and_labels_of_suppression_in_the_graph():
    boxes, scores = f32(1, 3, 4), np.array([[0.75, 0.5, 0.5]], np.float32)
    labels, count = np.array([[2.0, 1.0, 1.0]], np.float32), np.array([1.0], np.float32)
    boxes[0, 0] = np.array([4, 8, 20, 24]) / np.array([32, 64, 32, 64])
    outputs = {
        "detection_boxes": boxes,
        "detection_scores": scores,
        "detection_classes": labels,
        "num_detections": count,
    }
    # As TensorFlow's models have it: top before left, parts of the input, classes from 1.
    task = detector(head="nms", normalized=True, background="first", **{"box-format": "corners-yx"})
    assert found(task, **outputs) == [("bus", 0.75, BOX)]


def test_integers_are_labels():
    boxes, scores, labels = f32(1, 1, 4), f32(1, 1, fill=0.75), np.array([[1]], np.int64)
    boxes[0, 0] = BOX
    task = detector(head="nms", scores=["b"])
    assert found(task, a=boxes, b=scores, c=labels) == [("bus", 0.75, BOX)]


def test_outputs_of_suppression_that_nothing_tells_apart():
    outputs = {"a": f32(1, 2, 4), "b": f32(1, 2), "c": f32(1, 2)}
    with pytest.raises(DataError, match="scores and labels can't be told apart"):
        found(detector(head="nms"), **outputs)


@pytest.mark.parametrize(
    ("shapes", "classes", "head"),
    [
        ([(1, 84, 8400)], 80, "yolov8"),
        ([(1, 6, 8400)], 2, "yolov8"),
        ([(1, 25200, 85)], 80, "yolov5"),
        ([(1, 8400, 85)], 80, "yolox"),
        ([(1, 84, 34000)], 80, "yolov8"),
        ([(1, 8525, 80), (1, 8525, 4), (1, 8525, 1)], 80, "fcos"),
        ([(1, 3, 80, 80, 7), (1, 3, 40, 40, 7), (1, 3, 20, 20, 7)], 2, "yolov5"),
        ([(1, 255, 80, 80), (1, 255, 40, 40), (1, 255, 20, 20)], 80, "yolov5"),
        ([(1, 144, 80, 80), (1, 144, 40, 40), (1, 144, 20, 20)], 80, "yolov8-dfl"),
        ([(1, 8500, 112)], 80, "nanodet"),
        ([(1, 16800, 4), (1, 16800, 2), (1, 16800, 10)], 1, "retinaface"),
        ([(1, 4800), (1, 4800, 4)], 1, "boxes"),
        ([(1, 100, 6)], 9, "nms"),
        ([(100, 6)], 9, "nms"),
        ([(1, 100, 4), (1, 100), (1, 100), (1,)], 9, "nms"),
    ],
)
def test_a_head_is_told_by_its_shapes(shapes, classes, head):
    from lprc.models.tasks.detection.guess import guessed_heads

    named = {f"o{index}": shape for index, shape in enumerate(shapes)}
    assert guessed_heads(named, (640, 640), classes=classes)[0].head == head
    if head != "nms":
        assert guessed_heads(named, (640, 640))[0].classes == classes


def test_auto_is_the_head_of_the_shapes():
    joint = f32(1, 6, 42)  # 32 + 8 + 2 cells
    joint[0, :, 7] = [16, 12, 16, 16, 0, 0.75]
    assert found(detector(), o=joint) == [("bus", 0.75, BOX)]


def test_auto_refuses_shapes_of_no_head():
    with pytest.raises(DataError, match=r"no head has such outputs.*o \[1, 3\]"):
        found(detector(), o=f32(1, 3))


@pytest.mark.parametrize(
    ("output", "shapes", "message"),
    [
        ({"head": "boxes"}, [(1, 5, 3), (1, 5, 4)], "no output of scores has 2 channels"),
        ({"head": "boxes", "scores": ["x"]}, [(1, 5, 2), (1, 5, 4)], "there is no output 'x'"),
        ({"head": "boxes", "boxes": ["o0"]}, [(1, 5, 2), (1, 5, 4)], "'o0' is .1, 5, 2., not 4"),
        ({"head": "boxes"}, [(1, 5, 2), (1, 6, 4)], "5 scores and 6 boxes"),
        ({"head": "yolov8"}, [(1, 9, 40)], "no output of boxes has 6 channels"),
        ({"head": "yolov8-dfl", "strides": [8]}, [(1, 66, 5, 8)], r"has no grid of strides \[8\]"),
        ({"head": "fcos", "strides": [8, 16]}, [(1, 2, 4, 8), (1, 4, 4, 8)], "32 boxes, .* 40"),
        ({"head": "nms"}, [(1, 3, 7)], "rows have 7 columns, not 6"),
        ({"head": "ssd"}, [(1, 5, 3), (1, 5, 4)], "needs anchors and strides"),
    ],
)
def test_outputs_of_another_model_are_refused(output, shapes, message):
    outputs = {f"o{index}": f32(*shape) for index, shape in enumerate(shapes)}
    with pytest.raises(DataError, match=message):
        found(detector(**output), **outputs)


def test_a_class_beyond_the_names_is_refused():
    rows = np.array([[[*BOX, 0.75, 2]]], np.float32)
    with pytest.raises(DataError, match="class 2 is beyond the 2"):
        found(detector(head="nms"), o=rows)
