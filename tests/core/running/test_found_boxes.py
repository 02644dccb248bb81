"""Rows of boxes are compared as sets, and weak boxes count little."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.compiler.artifact.faithfulness import unexplained
from lprc.core.onnx_io import model_io
from lprc.core.running.found_boxes import outputs_of_boxes, share_of_other_boxes
from lprc.core.running.numerics import Session, compare

STRONG = [10, 10, 50, 30, 0.9, 0]
WEAK = [60, 60, 80, 80, 0.1, 0]
NONE = [-1] * 6


def share(wanted, came) -> float:
    rows = [np.array([side], np.float32) for side in (wanted, came)]
    return share_of_other_boxes("y", [({}, {"y": rows[0]}, {"y": rows[1]})])


def test_the_order_of_rows_and_small_moves_do_not_count():
    moved = [11, 10, 52, 31, 0.8, 0]
    assert share([STRONG, WEAK, NONE], [WEAK, moved, NONE]) == 0


def test_a_box_that_only_one_side_has_counts_by_its_score():
    assert share([STRONG, WEAK], [STRONG, NONE]) == pytest.approx(0.1 / 1.9)
    assert share([STRONG, NONE], [STRONG, WEAK]) == pytest.approx(0.1 / 1.9)
    assert share([STRONG, WEAK], [NONE, WEAK]) == pytest.approx(0.9 / 1.1)


def test_another_class_or_place_is_another_box():
    assert share([STRONG], [[10, 10, 50, 30, 0.9, 1]]) == 1
    assert share([STRONG], [[40, 10, 80, 30, 0.9, 0]]) == 1
    assert share([NONE], [NONE]) == 0
    assert share([STRONG], [STRONG, NONE]) == 1  # of another shape


SUPPRESSING = """<ir_version: 9, opset_import: ["" : 20]>
g (float[1,2,4] boxes, float[1,1,2] scores) => (float[1,R,6] y)
<int64[1] most = {2}, float[1] overlap = {0.5}, float[1] least = {0.0}, int64[1] last = {2},
 int64[1] column = {1}, int64[3] shape = {1,-1,1}, float zero = {0.0}, int64[1] place = {2}> {
    chosen = NonMaxSuppression(boxes, scores, most, overlap, least)
    index = Gather<axis = 1>(chosen, place)
    flat = Squeeze(index, column)
    sides = Gather<axis = 1>(boxes, flat)
    of_class = Gather<axis = 2>(scores, flat)
    score = Reshape(of_class, shape)
    class = Mul(score, zero)
    y = Concat<axis = 2>(sides, score, class)
}"""


def suppressing():
    proto = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(SUPPRESSING))
    return model_io.from_proto(proto)


def test_outputs_behind_suppression_are_boxes():
    assert outputs_of_boxes(suppressing()) == {"y"}
    scores = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 20]> g (float[1,2,6] x) => (float[1,2,6] y) { y = Relu(x) }'
    )
    assert outputs_of_boxes(model_io.from_proto(scores)) == frozenset()


@pytest.mark.parametrize(("tolerance", "refused"), [(0.1, False), (0.01, True)])
def test_an_artefact_may_find_other_weak_boxes(tolerance, refused):
    model = suppressing()
    boxes = np.array([[STRONG[:4], WEAK[:4]]], np.float32)
    inputs = {"boxes": boxes, "scores": np.array([[[0.9, 0.1]]], np.float32)}
    wanted = Session(model).run(inputs)
    assert wanted["y"].shape == (1, 2, 6)
    came = {"y": np.array([[STRONG, [0, 0, 20, 20, 0.05, 0]]], np.float32)}
    far = [delta for delta in compare(wanted, came) if not delta.within(tolerance)]
    assert far
    bad, told = unexplained(
        far, [(inputs, wanted, came)], tolerance,
        lowered=model, reference=Session(model), source=None,
    )  # fmt: skip
    assert bool(bad) == refused
    assert told
