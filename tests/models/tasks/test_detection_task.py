"""The kind of tasks `detection`: its file, what it says and draws, and `lprc eval` with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from detection_support import detections, detector, truth
from PIL import Image
from processes import run_lprc

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.compile.graph_interface import interface_of_graph
from lprc.compiler.measure.evaluation import interface_of
from lprc.core.errors import DataError, MissingDependencyError
from lprc.core.onnx_io.model_io import from_proto
from lprc.core.tasks.placement import Placement
from lprc.core.tasks.task_file import BY_MODEL, load_task, parse_task, task_choice, task_text
from lprc.models.tasks.detection import Detection, matching

MODEL = Path(__file__).parents[3] / "models" / "plate_detector.onnx"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"head": "yolov9"}, r"output\.head: must be 'auto', 'boxes'"),
        ({"iou": 0.5}, "output: unknown key 'iou'"),
        ({"iou-threshold": 1.5}, r"output\.iou-threshold: must be at most 1"),
        ({"max-detections": 0}, r"output\.max-detections: must be at least 1"),
        ({"strides": [8, 0]}, r"output\.strides\.1: must be at least 1"),
        ({"anchors": [[[8, 8], [16]]]}, r"output\.anchors\.0"),
        ({"anchors": [[[8, 8]]], "strides": [8, 16]}, "anchors of 1 levels and strides of 2"),
        ({"anchors": [[]]}, "a level has no anchors"),
        ({"columns": ["x1", "y1", "x2", "y2", "score"]}, "columns must hold"),
        ({"classes": ["a", "a"]}, "two classes have one name"),
        ({"scores": 3}, r"output\.scores: must be a list"),
    ],
)
def test_a_bad_file_is_refused_by_key(output, message):
    with pytest.raises(DataError, match=message):
        detector(output.pop("classes", ["a", "b"]), **output)


def test_a_task_is_written_as_it_was_read():
    anchors = [[[8.0, 8.0], [32.0, 8.5]]]
    task = detector(head="ssd", anchors=anchors, strides=[8], scores="s")
    again = parse_task(task_text(task), name="tested", where="again")
    assert again.settings == task.settings
    assert again.settings.output.scores == ("s",)


def test_boxes_come_back_to_the_image():
    # 200 x 50 becomes 64 x 16, 8 rows below the top of 64 x 32.
    task = detector(image={"width": 64, "height": 32, "color": "RGB", "resize": "letterbox"})
    place = task.input.placement((200, 50))
    boxes = np.array([[[16, 12, 32, 20], [16, 0, 80, 40]]], np.float32)
    outputs = {"s": np.array([[[0.9, 0], [0.8, 0]]], np.float32), "b": boxes}
    (answer,) = detector(head="boxes").answers(outputs, [place])
    np.testing.assert_allclose(
        answer.boxes, [[50, 12.5, 100, 37.5], [50, 0, 200, 50]], rtol=0, atol=1e-4
    )


def test_a_letterbox_of_the_corner_has_borders_right_and_below():
    assert Placement.of((200, 50), (64, 32), "letterbox-corner") == Placement(
        (200, 50), (64, 16), 0, 0, (64, 32)
    )


def test_the_rest_of_a_batch_is_no_answer():
    outputs = {"s": np.zeros((4, 3, 2), np.float32), "b": np.zeros((4, 3, 4), np.float32)}
    assert len(detector(head="boxes").answers(outputs, [None])) == 1


def test_suppression_in_the_graph_is_asked_for_and_its_rows_are_read():
    task = task_choice("plate-detector").task
    model = onnx.load(MODEL)
    assert task.answer_in_graph(interface_of_graph(from_proto(model), "m")) == {
        "embed-postprocessing": {
            "kind": "nms",
            "boxes": "boxes",
            "scores": "scores",
            "form": "xyxy",
            "classes-last": "true",
            "rows": "100",
            "overlap": "0.6",
            "score": "0.01",
        }
    }
    rows = np.full((1, 100, 6), -1, np.float32)
    rows[0, 0] = [10, 20, 40, 30, 0.9, 0]
    (answer,) = task.answers({"detections": rows}, [None])
    assert answer.boxes.tolist() == [[10, 20, 40, 30]]


BOXES = [(10, 10, 30, 20), (60, 5, 90, 25), (0, 0, 5, 5)]


def test_words_of_answers_and_truths():
    task = detector(["plate"])
    answer = detections(BOXES, (0.984, 0.712, 0.1))
    assert task.text(answer) == "2 boxes: plate 0.98, plate 0.71"
    assert task.text(detections(BOXES[:1], (0.5,))) == "1 box: plate 0.50"
    assert task.text(detections([], ())) == "no box"
    assert task.text(truth(BOXES[:2])) == "2 boxes: plate, plate"
    assert task.document(answer)[0] == {"class": "plate", "score": 0.984, "box": [10, 10, 30, 20]}
    assert len(task.document(answer)) == 2
    assert json.loads(json.dumps(task.document(truth(BOXES)))) == [
        {"class": "plate", "box": list(box)} for box in BOXES
    ]


def test_found_and_true_boxes_are_drawn_in_two_colours(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (100, 50)).save(path)
    task = detector(["plate"])
    found = np.asarray(task.picture(path, detections(BOXES[1:2], (0.9,))))
    true = np.asarray(task.picture(path, truth(BOXES[1:2])))
    assert found[15, 60].tolist() == [230, 25, 75]
    assert true[15, 60].tolist() == [60, 180, 75]
    assert found[15, 75].tolist() == [0, 0, 0]


def test_without_pycocotools_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(matching, "is_installed", lambda module: False)
    with pytest.raises(MissingDependencyError, match=r"pycocotools") as error:
        detector().labelled(tmp_path)
    assert "lprc[detection]" in error.value.hint


def save_yolov8(path: Path) -> None:
    """A model of 64 x 64 whose 84 cells have 3 classes."""
    text = """<ir_version: 10, opset_import: ["": 20]>
    detect (float[1,3,64,64] images) => (float[1,7,84] output0)
    <float[1] zero = {0.0}, int64[3] shape = {1,7,84}>
    {
      least = ReduceMin<keepdims=0> (images)
      nothing = Mul (least, zero)
      output0 = Expand (nothing, shape)
    }"""
    onnx.save(onnx.parser.parse_model(text), path)


def test_a_first_file_is_written_from_the_shapes(tmp_path):
    save_yolov8(tmp_path / "m.onnx")
    interface = interface_of(open_artifact(tmp_path / "m.onnx").runner(), "m.onnx")
    task = task_choice("detection").resolve(interface)
    assert isinstance(task, Detection)
    assert task.settings.output.head == "yolov8"
    assert task.classes == ("class 0", "class 1", "class 2")
    assert (task.input.size, task.input.resize, task.input.color) == ((64, 64), "letterbox", "RGB")
    (tmp_path / "task.toml").write_text(task_text(task))
    assert load_task(tmp_path / "task.toml").settings == task.settings


def test_a_first_file_for_something_else_is_refused(bundled):
    interface = interface_of(open_artifact(bundled).runner(), "reader")
    with pytest.raises(DataError, match=r"no head that lprc knows has the outputs"):
        Detection.like(interface)


def test_the_shipped_detector_is_recognized_and_no_reader_is(bundled):
    detects = interface_of(open_artifact(MODEL).runner(), "detector")
    assert BY_MODEL.resolve(detects).name == "plate-detector"
    reads = interface_of(open_artifact(bundled).runner(), "reader")
    assert BY_MODEL.resolve(reads).name == "synthetic"
    assert Detection.like(detects)["output"]["classes"] == ["plate"]


@pytest.fixture
def few_frames(frames, tmp_path) -> Path:
    """Six photographs of 'val'."""
    document = json.loads((frames / "val" / "instances.json").read_text())
    images = document["images"][::17]
    numbers = {image["id"] for image in images}
    boxes = [item for item in document["annotations"] if item["image_id"] in numbers]
    folder = tmp_path / "frames"
    folder.mkdir()
    for image in images:
        shutil.copy(frames / "val" / image["file_name"], folder)
    few = {**document, "images": images, "annotations": boxes}
    (folder / "instances.json").write_text(json.dumps(few))
    return folder


@pytest.mark.data
def test_eval_needs_no_flags_for_the_shipped_detector(few_frames):
    arguments = ["eval", str(MODEL), "--data", str(few_frames), "--json"]
    result = run_lprc(*arguments)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert (document["task"], document["metric"]) == ("plate-detector", "mAP@50")
    assert (document["total"], document["remark"]) == (6, "")
    assert document["value"] >= 0.95
    assert document["interval"][0] <= document["value"] <= document["interval"][1]
    assert 0.7 < document["mAP@50:95"] < document["value"]
    assert document["AP@50"] == {"plate": document["value"]}


@pytest.mark.data
def test_eval_tells_that_colours_or_ranges_are_mistaken(few_frames, tmp_path):
    text = MODEL.with_suffix(".toml").read_text().replace("mean = 127.5", "mean = 100000")
    (tmp_path / "wrong.toml").write_text(text)
    arguments = ["eval", str(MODEL), "--data", str(few_frames), "--json"]
    result = run_lprc(*arguments, "--task", tmp_path / "wrong.toml")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["value"] < 0.5
    assert "mean = 127.5, scale = 1/127.5" in document["remark"]
