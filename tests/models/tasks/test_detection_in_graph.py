"""What is found in the graph is what the task finds in the same outputs by numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from detection_support import detector
from numpy.typing import NDArray

from lprc.compiler.artifact.task_files import deployment
from lprc.compiler.compile.graph_interface import interface_of_graph
from lprc.compiler.compile.optimize import optimize
from lprc.core.errors import DataError
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io.model_io import from_proto, to_proto
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import run
from lprc.core.targets.legality import check
from lprc.core.targets.target import target
from lprc.core.tasks.in_graph import postprocessing_text
from lprc.models.tasks.detection import Detection

Shapes = Mapping[str, tuple[int, ...]]

STRIDES = {"strides": [8, 16]}
"""64 x 32 is 8 x 4 and 4 x 2 cells: 40."""

ANCHORS = {"anchors": [[[8, 8], [20, 6]], [[16, 16], [30, 12]]], **STRIDES}
"""80 priors."""

HEADS: dict[str, tuple[dict[str, Any], Shapes]] = {
    "boxes": ({"head": "boxes"}, {"s": (40, 2), "b": (40, 4)}),
    "boxes with other outputs": (
        {"head": "boxes"},
        {"s": (40, 2), "b": (40, 4), "embedding": (40, 16)},
    ),
    "boxes, normalised": ({"head": "boxes", "normalized": True}, {"s": (40, 2), "b": (40, 4)}),
    "boxes, top before left": (
        {"head": "boxes", "normalized": True, "box-format": "corners-yx"},
        {"boxes": (40, 4), "scores": (40, 2)},
    ),
    "boxes, logits, background behind": (
        {"head": "boxes", "activation": "softmax", "background": "last"},
        {"scores": (40, 3), "boxes": (40, 4)},
    ),
    "boxes, one score": (
        {"head": "boxes", "activation": "sigmoid", "classes": ["plate"]},
        {"scores": (40,), "boxes": (40, 4)},
    ),
    "boxes of two levels": (
        {"head": "boxes", "box-format": "centers"},
        {"s0": (8, 2), "s1": (32, 2), "b0": (8, 4), "b1": (32, 4)},
    ),
    "yolov8": ({"head": "yolov8"}, {"out": (6, 40)}),
    "yolov8, places first": ({"head": "yolov8", "boxes": "out"}, {"out": (40, 6)}),
    "yolov8, logits": ({"head": "yolov8", "activation": "sigmoid"}, {"out": (40, 6)}),
    "yolov8, normalised": ({"head": "yolov8", "normalized": True}, {"out": (6, 40)}),
    "yolov5": ({"head": "yolov5"}, {"out": (40, 7)}),
    "yolov5, channels first": ({"head": "yolov5", "boxes": "out"}, {"out": (7, 40)}),
    "yolov5, logits": ({"head": "yolov5", "activation": "sigmoid"}, {"out": (7, 40)}),
    "yolov5 beside its maps": (
        {"head": "yolov5"},
        {"maps": (2, 4, 8, 7), "out": (40, 7), "coarse": (2, 2, 4, 7)},
    ),
    "yolov5 with a background": ({"head": "yolov5", "background": "first"}, {"out": (40, 8)}),
    "yolov5, maps": (
        {"head": "yolov5", **ANCHORS},
        {"coarse": (14, 2, 4), "fine": (14, 4, 8)},
    ),
    "yolov5, maps of five axes": (
        {"head": "yolov5", "boxes": ["coarse", "fine"], **ANCHORS},
        {"fine": (2, 4, 8, 7), "coarse": (2, 2, 4, 7), "more": (3,)},
    ),
    "yolox": ({"head": "yolox", **STRIDES}, {"out": (40, 7)}),
    "yolox, points in the middle": (
        {"head": "yolox", "point-offset": 0.5, "activation": "sigmoid", **STRIDES},
        {"out": (7, 40)},
    ),
    "ssd": ({"head": "ssd", **ANCHORS}, {"loc": (80, 4), "conf": (80, 3)}),
    "ssd, maps": (
        {"head": "ssd", "variances": [0.2, 0.3], **ANCHORS},
        {"c0": (6, 4, 8), "l0": (8, 4, 8), "c1": (6, 2, 4), "l1": (8, 2, 4)},
    ),
    "ssd of as many priors as it likes": (
        {"head": "ssd", "anchors": [[[8, 8]], [[9, 9], [4, 9], [9, 4]]], **STRIDES},
        {"loc": (56, 4), "conf": (56, 3)},
    ),
    "retinanet": (
        {
            "head": "ssd",
            "activation": "sigmoid",
            "background": "none",
            "variances": [1, 1],
            **ANCHORS,
        },
        {"cls": (80, 2), "box": (80, 4)},
    ),
    "retinaface": (
        {"head": "retinaface", "classes": ["face"]},
        {"box": (84, 4), "cls": (84, 2), "points": (84, 10)},
    ),
    "fcos": (
        {"head": "fcos", "classes": ["a", "b", "c"], **STRIDES},
        {
            "cls0": (3, 4, 8), "cls1": (3, 2, 4), "box0": (4, 4, 8), "box1": (4, 2, 4),
            "ctr0": (1, 4, 8), "ctr1": (1, 2, 4),
        },
    ),
    "fcos without centre-ness, in pixels": (
        {"head": "fcos", "distance-unit": "pixels", "point-offset": 0.25, **STRIDES},
        {"cls": (40, 2), "box": (40, 4)},
    ),
    "yolov8-dfl": (
        {"head": "yolov8-dfl", **STRIDES},
        {"coarse": (66, 2, 4), "fine": (66, 4, 8)},
    ),
    "yolov8-dfl, boxes and scores apart": (
        {"head": "yolov8-dfl", **STRIDES},
        {"s1": (2, 2, 4), "b1": (32, 2, 4), "s0": (2, 4, 8), "b0": (32, 4, 8)},
    ),
    "yolov8-dfl, named": (
        {"head": "yolov8-dfl", "boxes": "b", "scores": "s", **STRIDES},
        {"s": (2, 40), "b": (40, 64)},
    ),
    "nanodet": ({"head": "nanodet", **STRIDES}, {"out": (40, 34)}),
    "nanodet, points in the middle": (
        {"head": "nanodet", "point-offset": 0.5, "activation": "sigmoid", **STRIDES},
        {"out": (40, 34)},
    ),
    "auto": ({}, {"out": (6, 42)}),
}  # fmt: skip


def task_of(output: Mapping[str, Any]) -> Detection:
    classes = output.get("classes", ["car", "bus"])
    rest = {key: value for key, value in output.items() if key != "classes"}
    return detector(classes, **{"score-threshold": 0.15, "iou-threshold": 0.5, **rest})


def network(shapes: Shapes) -> ir.Model:
    """A graph that takes an image, and its outputs, which it hands on."""
    listed = {name: ",".join(map(str, ("N", *shape))) for name, shape in shapes.items()}
    takes = ", ".join(f"float[{sizes}] {name}_in" for name, sizes in listed.items())
    gives = ", ".join(f"float[{sizes}] {name}" for name, sizes in listed.items())
    body = " ".join(f"{name} = Identity({name}_in)" for name in listed)
    return from_proto(
        onnx.parser.parse_model(
            f'<ir_version: 9, opset_import: ["" : 20]> g ({takes}) => ({gives}) {{ {body} }}'
        )
    )


def passes_of(task: Detection, shapes: Shapes) -> str:
    """As of `lprc compile --embed postprocessing`, for a network that takes images."""
    model = from_proto(
        onnx.parser.parse_model(
            '<ir_version: 9, opset_import: ["" : 20]>'
            f" g (float[N,3,32,64] image) => ({', '.join(f'float {name}' for name in shapes)})"
            f" {{ {' '.join(f'{name} = ReduceMax(image)' for name in shapes)} }}"
        )
    )
    zeros = {name: np.zeros((1, *shape), np.float32) for name, shape in shapes.items()}
    return postprocessing_text(task, interface_of_graph(model, "m.onnx", lambda _: zeros))


def numbers(output: Mapping[str, Any], shapes: Shapes) -> dict[str, NDArray[np.float32]]:
    """Logits of any sign, or scores from 0 to 1; no box has its right in front of its left.

    Decoded boxes are outputs that are called ``b`` and something, or the first four of ``out``.
    """
    generator = np.random.default_rng(7)
    head = output.get("head", "yolov8")
    is_decoded = head in ("boxes", "yolov8") or (head == "yolov5" and "anchors" not in output)
    side = 1.0 if output.get("normalized") else 40.0
    arrays = {}
    for name, shape in shapes.items():
        array = generator.standard_normal((2, *shape)).astype(np.float32)
        if head == "fcos" and name.startswith("box"):
            array = np.abs(array)
        if is_decoded and "activation" not in output:
            array = generator.random((2, *shape)).astype(np.float32)
        if is_decoded and (name.startswith("b") or name == "out"):
            rows = array if shape[-1] < 9 else array.swapaxes(1, 2)
            rows[..., :4] = np.sort(generator.random(rows[..., :4].shape), axis=-1) * side
        arrays[name] = array
    return arrays


@pytest.mark.parametrize("case", HEADS)
def test_the_graph_finds_what_the_task_finds(case):
    output, shapes = HEADS[case]
    task = task_of(output)
    outputs = numbers(output, shapes)
    model = network(shapes)
    optimize(model, Pipeline.parse(passes_of(task, shapes)))
    onnx.checker.check_model(to_proto(model), full_check=True)
    rows = run(model, {f"{name}_in": array for name, array in outputs.items()})
    assert list(rows) == ["detections"]
    wanted = task.answers(outputs, [None, None])
    for answer, expected in zip(task.answers(rows, [None, None]), wanted, strict=True):
        assert len(expected.boxes) > 5
        assert answer.classes.tolist() == expected.classes.tolist()
        np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-5)
        np.testing.assert_allclose(answer.boxes, expected.boxes, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("case", ["ssd, maps", "yolov5, maps", "fcos", "nanodet"])
def test_the_passes_are_verified_and_legal(case):
    output, shapes = HEADS[case]
    verify = Verify("each")
    model = network(shapes)
    PassManager(Pipeline.parse(passes_of(task_of(output), shapes)), [verify]).run(model)
    assert not verify.warnings
    assert len(verify.deltas) == 2
    for name in ("onnx", "ort-fp32", "openvino-fp32", "tensorrt-fp32"):
        assert not check(model, target(name).rules)


@pytest.mark.parametrize("case", ["ssd, maps", "yolov5, maps", "fcos", "nanodet"])
def test_tvm_takes_decoding_alone(case):
    output, shapes = HEADS[case]
    decode, suppress = Pipeline.parse(passes_of(task_of(output), shapes)).passes
    model = network(shapes)
    optimize(model, Pipeline((*Pipeline.parse("set-batch{batch=1},infer-shapes").passes, decode)))
    assert not check(model, target("tvm-fp32").rules)
    optimize(model, Pipeline((suppress,)))
    assert "NonMaxSuppression" in check(model, target("tvm-fp32").rules)[0].place


def test_a_task_that_says_all_gets_no_more_than_suppression():
    assert passes_of(*_case("boxes")) == (
        "embed-postprocessing{kind=nms,boxes=b,scores=s,form=xyxy,classes-last=true,"
        "rows=100,overlap=0.5,score=0.15}"
    )
    assert passes_of(*_case("yolov8")) == (
        "embed-postprocessing{kind=nms,channels=6,form=cxcywh,rows=100,overlap=0.5,score=0.15}"
    )


def _case(name: str) -> tuple[Detection, Shapes]:
    output, shapes = HEADS[name]
    return task_of(output), shapes


def test_programs_are_told_of_rows():
    model = network({"detections": (100, 6)})
    model.graph.inputs[0].name = "image"
    rows = {"detections": np.zeros((1, 100, 6), np.float32)}
    image = network({"image": (3, 32, 64)}).graph.inputs[0]
    model.graph.inputs[0].shape = image.shape
    task = task_of({"head": "yolox", "normalized": True})
    output = deployment(task, interface_of_graph(model, "m.onnx", lambda _: rows))["output"]
    assert (output["head"], output["normalized"], output["box_format"]) == ("nms", False, "corners")
    plain = interface_of_graph(network({"image": (3, 32, 64)}), "m.onnx")
    assert deployment(task, plain)["output"]["head"] == "yolox"


def test_names_with_commas_are_quoted():
    shapes = {"head{0},boxes": (40, 4), "scores": (40, 2)}
    task = task_of({"head": "boxes", "boxes": "head{0},boxes", "scores": "scores"})
    zeros = {name: np.zeros((1, *shape), np.float32) for name, shape in shapes.items()}
    model = network({"image": (3, 32, 64)})
    text = postprocessing_text(task, interface_of_graph(model, "m.onnx", lambda _: zeros))
    assert Pipeline.parse(text).passes[0].boxes == "head{0},boxes"


@pytest.mark.parametrize(
    ("output", "shapes", "reason"),
    [
        ({"head": "nms"}, {"out": (100, 6)}, "the network finds its boxes by itself"),
        ({}, {"out": (100, 6)}, "the network finds its boxes by itself"),
        (
            {"head": "boxes", "landmarks": "p"},
            {"s": (40, 2), "b": (40, 4), "p": (40, 8)},
            "rows have no place for landmarks",
        ),
    ],
)
def test_what_the_graph_cant_find_is_refused_with_the_reason(output, shapes, reason):
    with pytest.raises(
        DataError, match=rf"task 'tested' can't be computed in the graph: .*{reason}"
    ):
        passes_of(task_of(output), shapes)


@pytest.mark.parametrize(
    ("head", "reason"),
    [("yolov8", "no output may be boxes"), ("boxes", "no output may be boxes")],
)
def test_outputs_of_another_network_are_refused(head, reason):
    with pytest.raises(DataError, match=reason):
        passes_of(task_of({"head": head}), {"out": (9, 40)})
