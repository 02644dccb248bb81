"""nvinfer's configurations: right by the documented keys, and nothing said that it can't do."""

from __future__ import annotations

import pytest
from nvinfer_stand_in import Engine
from stage_cases import DETECTOR, READER, edge, stage

from lprc.compiler.bundle.nvinfer_config import class_numbers, margin, notes, nvinfer_config
from lprc.compiler.bundle.nvinfer_keys import CLASS_ATTRIBUTES, PROPERTY, faults
from lprc.core.errors import DataError

BOXES = {"scores": (300, 2), "boxes": (300, 4)}
TEXTS = {"out": (4, 9)}


def _groups(config):
    engine = Engine(config, None)
    return {"property": dict(engine.keys), "class-attrs-all": dict(engine.attributes)}


def test_the_shipped_detector(deepstream):
    groups = _groups(deepstream / "config" / "detector.txt")
    assert faults(groups) == []
    assert groups == {
        "property": {
            "gpu-id": "0",
            "gie-unique-id": "1",
            "process-mode": "1",
            "network-type": "0",
            "model-engine-file": "../models/detector/model.engine",
            "network-mode": "2",
            "batch-size": "2",
            "interval": "0",
            "infer-dims": "3;384;640",
            "network-input-order": "0",
            "model-color-format": "1",
            "net-scale-factor": "0.0078125",
            "offsets": "127.5;127.5;127.5",
            "maintain-aspect-ratio": "1",
            "symmetric-padding": "0",
            "scaling-filter": "1",
            "num-detected-classes": "1",
            "labelfile-path": "labels_detector.txt",
            "cluster-mode": "4",
            "output-tensor-meta": "0",
            "custom-lib-path": "../build/liblprc_parsers.so",
            "parse-bbox-func-name": "NvDsInferParseCustom_detector",
        },
        "class-attrs-all": {"pre-cluster-threshold": "0.4", "topk": "8"},
    }
    assert (deepstream / "config" / "labels_detector.txt").read_text() == "plate\n"


def test_the_shipped_reader(deepstream):
    groups = _groups(deepstream / "config" / "reader.txt")
    assert faults(groups) == []
    assert groups["property"] == {
        "gpu-id": "0",
        "gie-unique-id": "2",
        "process-mode": "2",
        "network-type": "1",
        "model-engine-file": "../models/reader/model.engine",
        "network-mode": "0",
        "batch-size": "8",
        "interval": "0",
        "infer-dims": "3;24;94",
        "network-input-order": "0",
        "model-color-format": "1",
        "net-scale-factor": "0.0078125",
        "offsets": "127.5;127.5;127.5",
        "maintain-aspect-ratio": "0",
        "symmetric-padding": "0",
        "scaling-filter": "1",
        "operate-on-gie-id": "1",
        "input-object-min-width": "18",
        "input-object-min-height": "8",
        "secondary-reinfer-interval": "0",
        "classifier-type": "reader",
        "classifier-threshold": "0.0",
        "classifier-async-mode": "0",
        "output-tensor-meta": "0",
        "custom-lib-path": "../build/liblprc_parsers.so",
        "parse-classifier-func-name": "NvDsInferParseCustom_reader",
    }


@pytest.mark.parametrize(
    ("group", "key", "value", "fault"),
    [
        ("property", "net-scale-factors", "1", "no such key"),
        ("property", "net-scale-factor", "1;1;1", "not float"),
        ("property", "net-scale-factor", "0", "out of range"),
        ("property", "offsets", "1;2", "2 numbers"),
        ("property", "offsets", "-1;2;3", ""),
        ("property", "infer-dims", "3;24", "2 numbers"),
        ("property", "process-mode", "3", "out of range"),
        ("property", "maintain-aspect-ratio", "2", "out of range"),
        ("property", "batch-size", "1.5", "not integer"),
        ("property", "custom-lib-path", "", "empty"),
        ("property", "topk", "1", "no such key"),
        ("class-attrs-all", "topk", "-1", ""),
        ("class-attrs-all", "batch-size", "1", "no such key"),
        ("class-attrs-0", "pre-cluster-threshold", "1.5", "out of range"),
        ("tests", "file-loop", "1", "[tests] is no group"),
    ],
)
def test_faults_are_told(group, key, value, fault):
    found = faults({group: {key: value}})
    assert bool(found) == bool(fault)
    assert fault in "".join(found)


def test_every_key_is_checked_by_its_type():
    for name, key in {**PROPERTY, **CLASS_ATTRIBUTES}.items():
        group = "property" if name in PROPERTY else "class-attrs-all"
        assert faults({group: {name: ""}}), name
        if key.kind not in ("string", "path"):
            assert faults({group: {name: "many"}}), name


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            'resize = "letterbox"\nborder = 0',
            {"maintain-aspect-ratio": "1", "symmetric-padding": "1"},
        ),
        ("mean = [1, 2, 3]", {"offsets": "1.0;2.0;3.0", "net-scale-factor": "1.0"}),
        ("scale = [0.5, 0.5, 0.5]", {"net-scale-factor": "0.5"}),
        ('interpolation = "nearest"', {"scaling-filter": "0"}),
        ("mean = 7", {"offsets": "7.0;7.0;7.0", "model-color-format": "0"}),
    ],
)
def test_pictures(keys, expected, tmp_path):
    case = stage(tmp_path / "net.onnx", _with(DETECTOR, keys), BOXES)
    groups = nvinfer_config(case)
    assert expected.items() <= groups["property"].items()


def _with(task, keys):
    return task.replace('color = "RGB"', f'color = "RGB"\n{keys}')


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("scale = [1, 2, 3]", "has a scale for each channel, and nvinfer has one net-scale-factor"),
        ("scale = -1", "is negative, and net-scale-factor can't be"),
        ('resize = "crop"', "nvinfer can't cut pictures to the input's shape"),
        ('interpolation = "bicubic"', "nvinfer's scaling-filter means differently"),
    ],
)
def test_pictures_that_nvinfer_does_not_make(keys, message, tmp_path):
    case = stage(tmp_path / "net.onnx", _with(DETECTOR, keys), BOXES)
    with pytest.raises(DataError, match=message):
        nvinfer_config(case)


def test_the_pass_that_helps_is_named_and_helps(tmp_path):
    from lprc.api import optimize

    keys = "mean = [1, 2, 3]\nscale = [1, 2, 4]"
    case = stage(tmp_path / "net.onnx", _with(DETECTOR, keys), BOXES)
    with pytest.raises(DataError) as error:
        nvinfer_config(case)
    passes = error.value.hint.split('"')[1]
    model, _ = optimize(str(case.lowered), passes)
    (taken,) = model.graph.inputs
    assert str(taken.shape) == "[N,3,32,64]"
    assert taken.dtype.name == "FLOAT"


def test_bytes_as_input_are_refused(tmp_path):
    case = stage(tmp_path / "net.onnx", DETECTOR, BOXES, taken="uint8")
    with pytest.raises(DataError, match="takes uint8, and nvinfer feeds float32"):
        nvinfer_config(case)


def test_edges(tmp_path):
    front = edge(classes=["bus"], **{"min-score": 0.25, "top-k": 3, "margin": [0.5, 0.0]})
    detector = stage(tmp_path / "net.onnx", DETECTOR, BOXES, onward=(front,))
    assert nvinfer_config(detector)["class-attrs-all"] == {
        "pre-cluster-threshold": "0.25",
        "topk": "3",
    }
    reader = stage(tmp_path / "reader.onnx", READER, TEXTS, edge=front, source=1, number=2)
    assert class_numbers(reader, detector) == {"operate-on-class-ids": "1"}
    assert class_numbers(detector, detector) == {}
    keys = nvinfer_config(reader)["property"]
    assert keys["input-object-min-width"] == "2"  # 1 pixel, and the margin that the parser adds
    assert keys["input-object-min-height"] == "1"


def test_without_edges_the_task_says_what_is_shown(tmp_path):
    text = f"{DETECTOR}shown-threshold = 0.35\nmax-detections = 11"
    case = stage(tmp_path / "net.onnx", text, BOXES)
    assert nvinfer_config(case)["class-attrs-all"] == {
        "pre-cluster-threshold": "0.35",
        "topk": "11",
    }


@pytest.mark.parametrize(
    ("key", "values"),
    [("min-score", (0.2, 0.3)), ("top-k", (1, 2)), ("margin", ([0, 0], [0, 0.1]))],
)
def test_edges_that_one_detector_does_not_serve(key, values, tmp_path):
    edges = tuple(edge(**{key: value}) for value in values)
    case = stage(tmp_path / "net.onnx", DETECTOR, BOXES, onward=edges)
    asked = margin if key == "margin" else nvinfer_config
    with pytest.raises(DataError, match=rf"edges from 'net' have {key} .* one for each detector"):
        asked(case)


def test_boxes_are_cut_out_upright(tmp_path):
    straight = edge(rectify="min-area-rectangle")
    case = stage(tmp_path / "reader.onnx", READER, TEXTS, edge=straight, source=1, number=2)
    with pytest.raises(DataError, match="nvinfer cuts out upright boxes"):
        nvinfer_config(case)


def test_a_class_that_there_is_none(tmp_path):
    detector = stage(tmp_path / "net.onnx", DETECTOR, BOXES)
    front = edge(classes=["tram"])
    reader = stage(tmp_path / "reader.onnx", READER, TEXTS, edge=front, source=1, number=2)
    with pytest.raises(DataError, match=r"'tram' is no class of 'net'.*one of car, bus"):
        class_numbers(reader, detector)


def test_differences_are_told(tmp_path):
    keys = 'resize = "letterbox"\nborder = 114'
    case = stage(tmp_path / "net.onnx", _with(DETECTOR, keys), BOXES)
    assert "net: nvinfer's borders are black, and the task's are 114" in notes(case)
    exact = stage(tmp_path / "net2.onnx", _with(DETECTOR, 'interpolation = "nearest"'), BOXES)
    assert notes(exact) == []
