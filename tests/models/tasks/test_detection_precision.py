"""Average precision is COCO's: by hand, and equal to what pycocotools computes as a whole."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from detection_support import detections, detector, truth
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lprc.core.tasks.confidence import RESAMPLES
from lprc.models.tasks.detection.truth import Truth

MODEL = Path(__file__).parents[3] / "models" / "plate_detector.onnx"
PLATES = np.array([(10, 10, 50, 20), (100, 40, 160, 60)], np.float64)
TASK = detector(["plate"])


def score(found, truths):
    """mAP@50 and the details of images."""
    records = [TASK.judge(*pair) for pair in zip(found, truths, strict=True)]
    return TASK.combine(records), TASK.details(records)


def test_perfect_detections_have_precision_1():
    value, details = score([detections(PLATES, (0.9, 0.8))], [truth(PLATES)])
    assert value == 1
    assert details == {"mAP@50:95": 1, "mAP@75": 1, "recall@50": 1, "AP@50": {"plate": 1}}


def test_a_missed_plate_ends_the_curve():
    value, details = score([detections(PLATES[:1], (0.9,))], [truth(PLATES)])
    assert value == pytest.approx(51 / 101)  # the recalls 0, 0.01 … 0.5
    assert details["recall@50"] == 0.5


def test_a_better_scored_false_detection_halves_the_precision():
    boxes = [(200, 200, 240, 210), PLATES[0]]
    value, _ = score([detections(boxes, (0.9, 0.8))], [truth(PLATES[:1])])
    assert value == pytest.approx(0.5)


def test_a_second_detection_of_a_plate_is_false():
    twice = detections([PLATES[0], PLATES[0], PLATES[1]], (0.9, 0.8, 0.7))
    value, _ = score([twice], [truth(PLATES)])
    assert value == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_images_share_one_ranking():
    found = [detections(PLATES[:1], (0.5,)), detections([(0, 0, 5, 5)], (0.9,))]
    value, _ = score(found, [truth(PLATES[:1]), truth(PLATES[1:])])
    assert value == pytest.approx(0.5 * 51 / 101)


def test_a_shifted_box_counts_up_to_its_overlap():
    shifted = PLATES[:1] + np.array((4, 0, 4, 0))  # overlap 36 / 44 = 0.818
    value, details = score([detections(shifted, (0.9,))], [truth(PLATES[:1])])
    assert (value, details["mAP@75"]) == (1, 1)
    assert details["mAP@50:95"] == pytest.approx(0.7)  # 0.5 … 0.8


def test_a_class_that_does_not_occur_counts_neither_way():
    task = detector(["car", "bus"])
    records = [task.judge(detections(PLATES, (0.9, 0.8), (0, 1)), truth(PLATES[:1]))]
    assert task.combine(records) == 1
    assert task.details(records)["AP@50"] == {"car": 1, "bus": None}


def test_an_image_without_plates_is_perfect_while_no_box_is_shown():
    empty = truth([])
    for scores, value in (((), 1.0), ((0.29,), 1.0), ((0.31,), 0.0)):
        record = TASK.judge(detections(PLATES[: len(scores)], scores), empty)
        assert TASK.combine([record]) == value
        assert TASK.details([record]) == {}


def test_many_boxes_are_resampled_less_often():
    record = TASK.judge(detections(PLATES, (0.9, 0.8)), truth(PLATES))
    assert TASK.resamples([record] * 1000) == RESAMPLES
    assert TASK.resamples([record] * 100_000) == 250
    assert TASK.resamples([record] * 1_000_000) == 100


def whole_coco(found, truths, classes):
    """COCOeval's precision [overlaps, 101, classes] and recall [overlaps, classes]."""
    annotations, results = [], []
    for image, (answer, true) in enumerate(zip(found, truths, strict=True), 1):
        for box, label, crowd in zip(true.boxes, true.classes, true.crowd, strict=True):
            left, top, right, bottom = box.tolist()
            sides = [left, top, right - left, bottom - top]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "bbox": sides,
                    "area": sides[2] * sides[3],
                    "iscrowd": int(crowd),
                }
            )
        for box, rated, label in zip(answer.boxes, answer.scores, answer.classes, strict=True):
            left, top, right, bottom = box.astype(np.float64).tolist()
            sides = [left, top, right - left, bottom - top]
            results.append(
                {
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "bbox": sides,
                    "score": float(rated),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": number} for number in range(1, len(found) + 1)],
            "annotations": annotations,
            "categories": [{"id": number} for number in range(1, classes + 1)],
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][:, :, :, 0, -1], judge.eval["recall"][:, :, 0, -1]


def check_against_coco(task, found, truths):
    records = [task.judge(*pair) for pair in zip(found, truths, strict=True)]
    precision, recall = whole_coco(found, truths, len(task.classes))
    details = task.details(records)
    occurring = precision[0, 0] > -1
    assert occurring.any()
    assert task.combine(records) == pytest.approx(precision[0][:, occurring].mean(), abs=1e-9)
    assert details["mAP@50:95"] == pytest.approx(precision[:, :, occurring].mean(), abs=1e-9)
    assert details["mAP@75"] == pytest.approx(precision[5][:, occurring].mean(), abs=1e-9)
    assert details["recall@50"] == pytest.approx(recall[0][occurring].mean(), abs=1e-9)
    for index, value in enumerate(details["AP@50"].values()):
        if value is None:
            assert not occurring[index]
        else:
            assert value == pytest.approx(precision[0, :, index].mean(), abs=1e-9)
    return task.combine(records)


def random_truth(generator, classes):
    corner = generator.uniform(0, 80, (generator.integers(0, 7), 2))
    boxes = np.concatenate([corner, corner + generator.uniform(5, 40, corner.shape)], axis=1)
    crowd = generator.random(len(boxes)) < 0.1
    return Truth(boxes, generator.integers(0, classes, len(boxes)), crowd)


def random_answer(generator, true, classes):
    """Boxes near the true ones, of mostly their classes, and others; scores with ties."""
    near = np.repeat(true.boxes, 2, axis=0)
    near = near + generator.normal(0, 3, near.shape)
    far = generator.uniform(0, 60, (generator.integers(0, 9), 4))
    far[:, 2:] += far[:, :2]
    labels = np.repeat(true.classes, 2)
    wrong = generator.random(len(labels)) < 0.2
    labels = np.where(wrong, generator.integers(0, classes, len(labels)), labels)
    labels = np.concatenate([labels, generator.integers(0, classes, len(far))])
    scores = np.round(generator.random(len(labels)), 2)
    order = np.argsort(-scores, kind="stable")
    return detections(np.concatenate([near, far])[order], scores[order], labels[order])


@pytest.mark.parametrize("seed", range(12))
def test_the_score_is_that_of_cocoeval(seed):
    generator = np.random.default_rng(seed)
    classes = (1, 2, 5, 40)[seed % 4]
    truths = [random_truth(generator, classes) for _ in range(25)]
    found = [random_answer(generator, true, classes) for true in truths]
    value = check_against_coco(detector([f"c{i}" for i in range(classes)]), found, truths)
    assert 0 < value < 1


def test_a_resampled_score_is_that_of_cocoeval_on_the_same_images():
    generator = np.random.default_rng(99)
    truths = [random_truth(generator, 3) for _ in range(20)]
    found = [random_answer(generator, true, 3) for true in truths]
    drawn = generator.integers(0, 20, 20)
    check_against_coco(
        detector(["a", "b", "c"]), [found[i] for i in drawn], [truths[i] for i in drawn]
    )


@pytest.mark.data
def test_the_plate_detectors_score_is_that_of_cocoeval(frames):
    from lprc.compiler.artifact.artifact import open_artifact
    from lprc.compiler.measure.evaluation import interface_of
    from lprc.core.tasks.task_file import task_choice

    task = task_choice("plate-detector").task
    interface = interface_of(open_artifact(MODEL).runner(), "detector")
    samples = task.labelled(frames / "val")
    listed = json.loads((frames / "val" / "instances.json").read_text())
    assert [sample.path.name for sample in samples] == [i["file_name"] for i in listed["images"]]
    found = []
    for sample in samples:
        inputs, place = task.prepare(sample.path, interface)
        outputs = interface.run({name: array[None] for name, array in inputs.items()})
        found += task.answers(outputs, [place])
    value = check_against_coco(task, found, [sample.truth for sample in samples])
    assert value == pytest.approx(0.997, abs=0.001)
