"""Every head that the parser library decodes, on random outputs, as the tasks decode them."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
from nvinfer_parsers import ParserError, compiled
from stage_cases import DETECTOR, READER, stage

from lprc.compiler.bundle.parser_sources import parser_function, parser_source, quoted
from lprc.compiler.bundle.templates import packaged
from lprc.core.errors import DataError

HEADERS = ("box_heads", "ctc_text", "finished_boxes", "layers", "suppression")


@dataclass(frozen=True)
class Head:
    """A head's keys of the task file, and the sizes of its outputs."""

    keys: str
    outputs: dict[str, tuple[int, ...]]
    candidates: int = 50


HEADS = {
    "boxes": Head('head = "boxes"', {"scores": (300, 2), "boxes": (300, 4)}),
    "boxes_turned": Head('head = "boxes"', {"scores": (2, 300), "boxes": (4, 300)}),
    "boxes_yx": Head(
        'head = "boxes"\nbox-format = "corners-yx"\nnormalized = true',
        {"scores": (300, 2), "boxes": (300, 4)},
    ),
    "boxes_softmax_first": Head(
        'head = "boxes"\nactivation = "softmax"\nbackground = "first"',
        {"scores": (300, 3), "boxes": (300, 4)},
    ),
    "boxes_softmax_last": Head(
        'head = "boxes"\nactivation = "softmax"\nbackground = "last"',
        {"scores": (300, 3), "boxes": (300, 4)},
    ),
    "boxes_sigmoid": Head(
        'head = "boxes"\nactivation = "sigmoid"\nbox-format = "centers"',
        {"conf": (300, 2), "loc": (300, 4)},
    ),
    "yolov8": Head('head = "yolov8"', {"output0": (6, 300)}),
    "yolov8_turned": Head('head = "yolov8"', {"output0": (300, 6)}),
    "yolov5": Head('head = "yolov5"', {"output0": (300, 7)}),
    "auto": Head("", {"output0": (6, 8400)}),
    "nms": Head('head = "nms"', {"rows": (100, 6)}),
    "nms_columns": Head(
        'head = "nms"\nbackground = "first"\nnormalized = true\n'
        'columns = ["class", "score", "x1", "y1", "x2", "y2"]',
        {"rows": (100, 6)},
    ),
    # What embed-postprocessing makes of the head `boxes`, and of one that it decodes.
    "embedded": Head('head = "boxes"', {"detections": (100, 6)}),
    "embedded_decoded": Head('head = "yolox"\nnormalized = true', {"detections": (100, 6)}),
}


def _text(head):
    keys = f"{head.keys}\nscore-threshold = 0.2\ncandidates = 150\nmax-detections = 30\n"
    return f"{DETECTOR}{keys}"


def _random(name, head, rng):
    """Outputs with boxes within the picture and scores of a wide range."""
    outputs = {key: rng.random((1, *sizes)) for key, sizes in head.outputs.items()}
    if "yolo" in name or name == "auto":
        array = outputs["output0"]
        rows = array if array.shape[2] < 10 else array.swapaxes(1, 2)  # a view
        rows[..., :4] *= [64, 32, 30, 30]
    for key in ("boxes", "loc"):
        if key in outputs and "yx" not in name:
            outputs[key] *= 40
    if "softmax" in name or "sigmoid" in name:
        key = "conf" if "conf" in outputs else "scores"
        outputs[key] = rng.normal(0, 3, outputs[key].shape)
    if name == "nms":
        outputs["rows"][..., :4] *= 60
        outputs["rows"][..., 5] = rng.integers(-1, 2, (1, 100))
    if name == "nms_columns":
        outputs["rows"][..., 0] = rng.integers(0, 3, (1, 100))
    if name.startswith("embedded"):
        outputs["detections"][..., 5] = rng.integers(0, 2, (1, 100))
        outputs["detections"][:, 60:] = -1
    return {key: array.astype(np.float32) for key, array in outputs.items()}


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    return {
        name: stage(folder / f"{name}.onnx", _text(head), head.outputs)
        for name, head in HEADS.items()
    }


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers")
    return {
        "logits": stage(folder / "logits.onnx", READER, {"out": (4, 9)}),
        "codes": stage(folder / "codes.onnx", READER, {"out": (9,)}, kind="int32"),
    }


@pytest.fixture(scope="module")
def harness(stages, readers, harness_file, tmp_path_factory):
    """One library of all parsers."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "parser").mkdir()
    (folder / "CMakeLists.txt").write_text(packaged("deepstream_files/CMakeLists.txt"))
    for name in HEADERS:
        text = packaged(f"deepstream_files/parser/{name}.hpp")
        (folder / "parser" / f"{name}.hpp").write_text(text)
    for name, case in [*stages.items(), *readers.items()]:
        source = parser_source(case, (0.0, 0.0), 30)
        (folder / "parser" / f"{name}.cpp").write_text(source, encoding="utf-8")
    yield compiled(folder, folder / "build", harness_file, "Debug")
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", HEADS)
def test_same_boxes(name, stages, harness):
    rng = np.random.default_rng(len(name))
    total = 0
    for _ in range(5):
        case = stages[name]
        outputs = _random(name, HEADS[name], rng)
        (expected,) = case.task.answers(outputs, [None])
        one = {key: array[0] for key, array in outputs.items()}
        rows = harness.boxes(parser_function(case), one, case.task.input.size, [0.2, 0.2])
        sides = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        assert len(rows) == len(expected.scores)
        np.testing.assert_allclose(rows[:, 4], expected.scores, rtol=1e-6)
        inside = np.clip(expected.boxes, 0, [64, 32, 64, 32])
        np.testing.assert_allclose(sides, inside, rtol=1e-5, atol=1e-4)
        assert rows[:, 5].tolist() == expected.classes.tolist()
        total += len(rows)
    assert total > 5


def test_thresholds_are_those_of_each_class(stages, harness):
    outputs = _random("boxes", HEADS["boxes"], np.random.default_rng(3))
    one = {key: array[0] for key, array in outputs.items()}
    function = parser_function(stages["boxes"])
    rows = harness.boxes(function, one, (64, 32), [0.9, 0.5])
    assert (rows[rows[:, 5] == 0, 4] >= np.float32(0.9)).all()
    assert set(rows[:, 5]) == {0.0, 1.0}
    assert set(harness.boxes(function, one, (64, 32), [0.5])[:, 5]) == {0.0}


def test_a_class_that_there_is_none(stages, harness, capfd):
    rows = np.zeros((100, 6), np.float32)
    rows[3] = [1, 1, 9, 9, 0.9, 2]
    with pytest.raises(ParserError):
        harness.boxes(parser_function(stages["nms"]), {"rows": rows}, (64, 32), [0.2, 0.2])
    assert "class 2 is beyond the 2" in capfd.readouterr().err


def test_same_texts(readers, harness):
    rng = np.random.default_rng(0)
    texts = set()
    for _ in range(200):
        logits = rng.normal(size=(1, 4, 9)).astype(np.float32).round(1)  # with equal ones
        (expected,) = readers["logits"].task.answers({"out": logits}, [None])
        text, _ = harness.text(parser_function(readers["logits"]), {"out": logits[0]}, (64, 32))
        assert text == expected
        texts.add(text)
    assert any("京" in text for text in texts)


def test_codes_are_spelt(readers, harness, capfd):
    function = parser_function(readers["codes"])
    codes = np.array([2, 0, 0, -1, -1, -1, -1, -1, -1], np.int32)
    assert harness.text(function, {"out": codes}, (64, 32)) == ("京AA", 1.0)
    assert harness.text(function, {"out": np.full(9, -1, np.int32)}, (64, 32))[0] == ""
    codes[0] = 3
    with pytest.raises(ParserError):
        harness.text(function, {"out": codes}, (64, 32))
    assert "code 3 is beyond the alphabet's 3 characters" in capfd.readouterr().err


def test_signs_that_c_escapes():
    assert quoted('a"\\京\n') == '"a\\"\\\\京\\012"'


@pytest.mark.parametrize(
    ("text", "outputs", "message"),
    [
        (
            f'{DETECTOR}head = "fcos"\nstrides = [8]',
            {"scores": (2, 4, 8), "sides": (4, 4, 8)},
            'head = "fcos" has no parser here',
        ),
        (
            f'{DETECTOR}head = "yolov5"',
            {f"level{stride}": (21, 32 // stride, 64 // stride) for stride in (8, 16, 32)},
            "no outputs may be boxes [K, 7]",
        ),
        (
            f'{DETECTOR}head = "nms"\ncolumns = ["image", "x1", "y1", "x2", "y2", "score", "class"]',
            {"rows": (100, 7)},
            "rows name their image",
        ),
        (f'{READER}decoder = "beam"', {"out": (4, 9)}, "the parser decodes greedily"),
        (READER, {"out": (9, 4)}, "is [9, 4], not [4, steps]"),
    ],
)  # fmt: skip
def test_what_no_parser_reads(text, outputs, message, tmp_path):
    case = stage(tmp_path / "net.onnx", text, outputs)
    with pytest.raises(DataError, match=re.escape(message)):
        parser_source(case, (0.0, 0.0), 10)


def test_kinds_without_a_parser(tmp_path):
    text = DETECTOR.replace("detection", "classification")
    case = stage(tmp_path / "net.onnx", text, {"out": (2,)})
    with pytest.raises(DataError, match="kind 'classification' has no parser here"):
        parser_source(case, (0.0, 0.0), 10)


def test_outputs_of_another_type(tmp_path):
    case = stage(tmp_path / "net.onnx", READER, {"out": (9,)}, kind="int64")
    with pytest.raises(DataError, match="output 'out' is INT64, and the parser reads FLOAT or INT"):
        parser_source(case, (0.0, 0.0), 10)


def test_a_margin_is_added_on_each_side(tmp_path):
    case = stage(tmp_path / "net.onnx", _text(HEADS["boxes"]), HEADS["boxes"].outputs)
    source = parser_source(replace(case, name="a-b"), (0.1, 0.2), 5)
    assert "constexpr float kMarginX = 0.1F;" in source
    assert "bool NvDsInferParseCustom_a_b(" in source
