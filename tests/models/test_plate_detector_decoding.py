"""Scores and boxes become plates, and average precision is COCO's."""

from __future__ import annotations

import numpy as np
import pytest

from lprc.models.plate_detector.average_precision import average_precision
from lprc.models.plate_detector.decode import Detections, box_overlaps, decode

PLATES = np.array([(10, 10, 50, 20), (100, 40, 160, 60)], np.float32)


def detections(boxes, scores) -> Detections:
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def test_overlap_is_intersection_over_union():
    boxes = np.array([(0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30), (3, 3, 3, 3)])
    expected = [(1, 1 / 3, 0, 0), (1 / 3, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 0)]
    np.testing.assert_allclose(box_overlaps(boxes, boxes), expected)


def test_of_overlapping_boxes_the_best_remains():
    boxes = np.array([(0, 0, 40, 10), (1, 0, 41, 10), (60, 0, 99, 10), (0, 0, 9, 9)], np.float32)
    scores = np.array([0.7, 0.9, 0.5, 0.2], np.float32)
    found = decode(scores, boxes, threshold=0.3)
    assert found.boxes.tolist() == boxes[[1, 2]].tolist()
    assert found.scores.tolist() == scores[[1, 2]].tolist()


def test_a_suppressed_box_suppresses_nothing():
    boxes = np.array([(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)], np.float32)
    found = decode(np.array([0.9, 0.8, 0.7], np.float32), boxes, overlap=0.4)
    assert found.boxes.tolist() == boxes[[0, 2]].tolist()


def test_the_limit_takes_the_best():
    boxes = np.array([(20 * i, 0, 20 * i + 10, 10) for i in range(5)], np.float32)
    scores = np.array([0.5, 0.9, 0.6, 0.8, 0.7], np.float32)
    assert decode(scores, boxes, limit=2).boxes.tolist() == boxes[[1, 3]].tolist()
    assert len(decode(scores, boxes, threshold=0.95).boxes) == 0


def test_perfect_detections_have_precision_1():
    score = average_precision([detections(PLATES, (0.9, 0.8))], [PLATES])
    assert (score.at_50, score.at_75, score.mean, score.recall_50) == (1, 1, 1, 1)


def test_a_missed_plate_ends_the_curve():
    score = average_precision([detections(PLATES[:1], (0.9,))], [PLATES])
    assert score.at_50 == pytest.approx(51 / 101)  # the recalls 0, 0.01 … 0.5
    assert score.recall_50 == 0.5


def test_a_better_scored_false_detection_halves_the_precision():
    boxes = [(200, 200, 240, 210), PLATES[0]]
    score = average_precision([detections(boxes, (0.9, 0.8))], [PLATES[:1]])
    assert score.at_50 == pytest.approx(0.5)


def test_a_second_detection_of_a_plate_is_false():
    twice = detections([PLATES[0], PLATES[0], PLATES[1]], (0.9, 0.8, 0.7))
    score = average_precision([twice], [PLATES])
    assert score.at_50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_images_share_one_ranking():
    found = [detections(PLATES[:1], (0.5,)), detections([(0, 0, 5, 5)], (0.9,))]
    score = average_precision(found, [PLATES[:1], PLATES[1:]])
    assert score.at_50 == pytest.approx(0.5 * 51 / 101)


def test_a_shifted_box_counts_up_to_its_overlap():
    shifted = PLATES[:1] + np.array((4, 0, 4, 0), np.float32)  # overlap 36 / 44 = 0.818
    score = average_precision([detections(shifted, (0.9,))], [PLATES[:1]])
    assert (score.at_50, score.at_75) == (1, 1)
    assert score.mean == pytest.approx(0.7)  # 0.5 … 0.8


def test_without_plates_there_is_no_precision():
    with pytest.raises(ValueError, match="no plate to find"):
        average_precision([detections([], [])], [np.zeros((0, 4), np.float32)])
