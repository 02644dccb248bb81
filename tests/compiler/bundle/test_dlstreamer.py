"""DL Streamer's files, read as its documentation and sources say, find what the tasks find."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stage_cases import DETECTOR, MODELS, READER, edge, stage

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.bundle import dlstreamer
from lprc.compiler.bundle.dlstreamer_files.config.passed_on import PassedOn
from lprc.compiler.bundle.write import bundle
from lprc.core.errors import DataError
from lprc.core.files.image_listing import list_images
from lprc.models.plate_detector.scenes import street_scene

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def folder(pipeline_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "dlstreamer"
    bundle(pipeline_file, "openvino-dlstreamer", out, frame=(640, 360))
    return out


@functools.cache
def _network(path: Path):
    import openvino

    core = openvino.Core()
    core.set_property({"INFERENCE_NUM_THREADS": 1})
    return core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _infer(folder, name, picture):
    """The output of a model for a picture that is prepared as its model-proc says."""
    (layer,) = _model_proc(folder, name)["input_preproc"]
    params = layer["params"]
    network = _network(folder / "models" / name / "model.xml")
    _, _, height, width = (
        part.get_length() if part.is_static else None
        for part in network.input(layer["layer_name"]).partial_shape
    )
    scaled, left, top = (width, height), 0, 0
    if params["resize"] != "no-aspect-ratio":
        ratio = min(width / picture.width, height / picture.height)
        scaled = int(picture.width * ratio), int(picture.height * ratio)
    if params["resize"] == "aspect-ratio":
        left, top = (width - scaled[0]) // 2, (height - scaled[1]) // 2
    fill = params.get("padding", {"fill_value": [0, 0, 0]})["fill_value"]
    canvas = Image.new("RGB", (width, height), tuple(map(int, fill)))
    same = picture.size == scaled
    canvas.paste(
        picture if same else picture.resize(scaled, Image.Resampling.BILINEAR), (left, top)
    )
    pixels = np.asarray(canvas, np.float32)
    if params["color_space"] == "BGR":
        pixels = pixels[..., ::-1]
    values = (pixels - np.float32(params["mean"])) / np.float32(params["std"])
    outputs = network({layer["layer_name"]: values.transpose(2, 0, 1)[None].astype(np.float32)})
    (post,) = _model_proc(folder, name)["output_postproc"]
    return outputs[post["layer_name"]][0], post, scaled[0] / picture.width


def _model_proc(folder, name):
    return json.loads((folder / "config" / f"{name}.json").read_text(encoding="utf-8"))


def _regions(rows, post, ratio):
    """As the converter yolo_v10: left, top, right, bottom in the frame, score, label."""
    return [
        (
            *(side / ratio for side in row[:4]),
            row[4],
            post["labels"][int(row[5]) % len(post["labels"])],
        )
        for row in rows.tolist()
        if row[4] > post["confidence_threshold"]
    ]


def _label(codes, post):
    """As the converter label by the method index."""
    text, largest = "", 0
    for code in codes.tolist():
        if code < 0 or code >= len(post["labels"]):
            break
        text, largest = text + post["labels"][code], max(largest, code)
    return text if largest else ""


def test_same_boxes(folder):
    task = open_artifact(folder / "models" / "detector").task
    total = 0
    for index in range(12):
        picture = Image.fromarray(street_scene(index, 5).image)
        rows, post, ratio = _infer(folder, "detector", picture)
        assert post["converter"] == "yolo_v10"
        outputs = open_artifact(folder / "models" / "detector").run(
            {"image": task.input.array(picture)[None]}
        )
        (answer,) = task.answers(outputs, [task.input.placement(picture.size)])
        expected = [box for box in task.document(answer) if box["score"] > 0.4]
        found = _regions(rows, post, ratio)
        assert [label for *_, label in found] == [box["class"] for box in expected]
        inside = np.clip([row[:4] for row in found], 0, [640, 360, 640, 360])
        np.testing.assert_allclose(
            inside.reshape(-1, 4), np.reshape([box["box"] for box in expected], (-1, 4)), atol=0.05
        )
        total += len(found)
    assert total > 10


def test_same_texts(folder):
    artefact = open_artifact(folder / "models" / "reader")
    images = list_images(MODELS / "synthetic_plates" / "test")[:60]
    for path in images:
        picture = Image.open(path).convert("RGB")
        codes, post, _ = _infer(folder, "reader", picture)
        assert (post["converter"], post["method"]) == ("label", "index")
        outputs = artefact.run({"image": artefact.task.input.array(picture)[None]})
        (expected,) = artefact.task.answers(outputs, [None])
        assert _label(codes, post) == expected


def test_the_launch_line(folder):
    script = (folder / "launch.sh").read_text()
    elements = re.findall(r"gva\w+", script)
    assert elements[:5] == [
        "gvawatermark",
        "gvadetect",
        "gvapython",
        "gvaclassify",
        "gvametaconvert",
    ]
    assert "model=models/detector/model.xml model-proc=config/detector.json" in script
    assert '\'{"margin":[0.06,0.12],"min_size":[16,6],"top_k":8}\'' in script
    assert "inference-region=roi-list" in script
    assert (folder / "models" / "detector" / "model.xml").is_file()
    for name in ("launch.sh", "check_versions.sh"):
        assert subprocess.run(["sh", "-n", folder / name], check=False).returncode == 0


@dataclass(eq=False)
class Region:
    x: int
    y: int
    w: int
    h: int
    text: str
    score: float

    def rect(self) -> Region:
        return self

    def label(self) -> str:
        return self.text

    def confidence(self) -> float:
        return self.score


@dataclass
class Frame:
    found: list[Region] = field(default_factory=list)
    width: int = 640
    height: int = 360

    def regions(self) -> list[Region]:
        return list(self.found)

    def remove_region(self, region: Region) -> None:
        self.found.remove(region)

    def add_region(self, *values: Any) -> None:
        self.found.append(Region(*values))

    def video_info(self) -> Frame:
        return self


def test_boxes_that_are_passed_on():
    small = Region(100, 100, 15, 40, "plate", 0.99)
    weak, sure = Region(50, 60, 100, 40, "plate", 0.5), Region(600, 340, 40, 20, "plate", 0.9)
    frame = Frame([small, weak, sure])
    assert PassedOn(margin=[0.1, 0.25], min_size=[16, 6], top_k=2).process_frame(frame)
    assert [(item.x, item.y, item.w, item.h) for item in frame.found] == [
        (596, 335, 44, 25),  # cut off at the frame's edges
        (40, 50, 120, 60),
    ]
    assert [item.score for item in frame.found] == [0.9, 0.5]
    frame = Frame([weak, sure])
    PassedOn(margin=[0, 0], min_size=[1, 1], top_k=1).process_frame(frame)
    assert [item.score for item in frame.found] == [0.9]


ROWS = {"detections": (100, 6)}
CODES = {"codes": (9,)}


def _detector(path, keys=""):
    text = DETECTOR.replace('color = "RGB"', f'color = "RGB"\n{keys}') + 'head = "boxes"'
    return stage(path / "net.onnx", text, ROWS)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", {"resize": "no-aspect-ratio", "mean": [0.0] * 3, "std": [1.0] * 3}),
        (
            'resize = "letterbox"\nborder = 9\nmean = [1, 2, 3]\nscale = [0.5, 0.25, 0.125]',
            {
                "resize": "aspect-ratio",
                "mean": [1.0, 2.0, 3.0],
                "std": [2.0, 4.0, 8.0],
                "padding": {"stride_x": 0, "stride_y": 0, "fill_value": [9.0] * 3},
            },
        ),
    ],
)
def test_pictures(keys, expected, tmp_path):
    (layer,) = dlstreamer.model_proc(_detector(tmp_path, keys))["input_preproc"]
    assert layer["params"] == {"color_space": "RGB", **expected}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('resize = "crop"', 'is "crop", which DL Streamer does by other proportions'),
        ('interpolation = "nearest"', "DL Streamer scales bilinearly"),
    ],
)
def test_pictures_that_it_does_not_make(keys, message, tmp_path):
    with pytest.raises(DataError, match=message):
        dlstreamer.model_proc(_detector(tmp_path, keys))


def test_outputs_that_it_does_not_read(tmp_path):
    case = stage(tmp_path / "net.onnx", f'{DETECTOR}head = "yolov8"', {"out": (6, 300)})
    with pytest.raises(DataError, match=r"gvadetect reads rows \[K, 6\] of found boxes"):
        dlstreamer.model_proc(case)


def test_bytes_are_refused(tmp_path):
    case = stage(tmp_path / "net.onnx", f'{DETECTOR}head = "boxes"', ROWS, taken="uint8")
    with pytest.raises(DataError, match="DL Streamer feeds float32 NCHW here"):
        dlstreamer.model_proc(case)


def test_edges(tmp_path):
    detector = _detector(tmp_path)
    reader = stage(tmp_path / "reader.onnx", READER, CODES, kind="int32", source=1, number=2)

    def line(**keys):
        texts = dlstreamer.files([detector, replace(reader, edge=edge(**keys))], 1, (640, 360))
        return texts["launch.sh"]

    assert "object-class" not in line()
    assert 'object-class="bus"' in line(classes=["bus"])
    assert "object-class" not in line(classes=["bus", "car"])
    with pytest.raises(DataError, match="DL Streamer cuts out upright boxes"):
        line(rectify="landmarks")
    with pytest.raises(DataError, match="'tram' is no class of 'net'") as raised:
        line(classes=["tram"])
    assert (raised.value.hint or "").startswith("one of car, bus")


def test_one_of_many_classes(tmp_path):
    text = DETECTOR.replace('"bus"]', '"bus", "tram"]') + 'head = "boxes"'
    detector = stage(tmp_path / "net.onnx", text, ROWS)
    front = edge(classes=["bus", "car"])
    reader = stage(
        tmp_path / "reader.onnx", READER, CODES, kind="int32", source=1, number=2, edge=front
    )
    with pytest.raises(DataError, match="names 2 of the classes, and gvaclassify reads one or all"):
        dlstreamer.files([detector, reader], 1, (640, 360))
