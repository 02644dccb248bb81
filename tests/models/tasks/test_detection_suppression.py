"""Of many scored boxes a few are found."""

from __future__ import annotations

import numpy as np
from detection_support import detections

from lprc.models.tasks.detection.boxes import box_overlaps
from lprc.models.tasks.detection.suppression import select, suppress


def column(*scores: float) -> np.ndarray:
    return np.array(scores, np.float32)[:, None]


def test_overlap_is_intersection_over_union():
    boxes = np.array([(0, 0, 10, 10), (5, 0, 15, 10), (20, 20, 30, 30), (3, 3, 3, 3)])
    expected = [(1, 1 / 3, 0, 0), (1 / 3, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 0)]
    np.testing.assert_allclose(box_overlaps(boxes, boxes), expected)


def test_of_overlapping_boxes_the_best_remains():
    boxes = np.array([(0, 0, 40, 10), (1, 0, 41, 10), (60, 0, 99, 10), (0, 0, 9, 9)], np.float32)
    scores = column(0.7, 0.9, 0.5, 0.2)
    found = select(scores, boxes, threshold=0.3)
    assert found.boxes.tolist() == boxes[[1, 2]].tolist()
    assert found.scores.tolist() == scores[[1, 2], 0].tolist()


def test_a_suppressed_box_suppresses_nothing():
    boxes = np.array([(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)], np.float32)
    found = select(column(0.9, 0.8, 0.7), boxes, overlap=0.4)
    assert found.boxes.tolist() == boxes[[0, 2]].tolist()


def test_boxes_of_two_classes_do_not_suppress_each_other():
    boxes = [(0, 0, 10, 10)] * 3
    kept = suppress(detections(boxes, (0.9, 0.8, 0.7), (1, 0, 1)), 0.5, 100)
    assert kept.classes.tolist() == [1, 0]


def test_a_box_may_be_found_once_for_each_class():
    found = select(np.array([[0.4, 0.6, 0.1]], np.float32), np.zeros((1, 4), np.float32))
    assert found.classes.tolist() == [1, 0]


def test_the_limit_takes_the_best():
    boxes = np.array([(20 * i, 0, 20 * i + 10, 10) for i in range(5)], np.float32)
    scores = column(0.5, 0.9, 0.6, 0.8, 0.7)
    assert select(scores, boxes, limit=2).boxes.tolist() == boxes[[1, 3]].tolist()
    assert select(scores, boxes, candidates=1).boxes.tolist() == boxes[[1]].tolist()
    assert len(select(scores, boxes, threshold=0.95).boxes) == 0
