from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.compiler.artifact.faithfulness import unexplained
from lprc.core.onnx_io import model_io
from lprc.core.running.decisions import decided_outputs, share_of_others
from lprc.core.running.numerics import Session, compare

INTERFACE = "(float[N,4] x, int64[N,4] i) => ({} y)"


@pytest.mark.parametrize(
    ("kind", "body", "decided"),
    [
        ("int64[N]", "y = ArgMax<axis = 1, keepdims = 0>(x)", True),
        ("int32[N]", "a = ArgMax<axis = 1, keepdims = 0>(x) y = Cast<to = 6>(a)", True),
        ("bool[N,4]", "y = Greater(x, x)", True),
        ("int64[N,4]", "y = Cast<to = 7>(x)", True),
        ("float[N,K]", "y, i2 = TopK<axis = 1>(x, k)", True),
        ("float[N,4]", "b = Greater(x, x) y = Where(b, x, x)", False),
        ("int64[N,4]", "y = Neg(i)", False),
        ("bool[N,4]", "y = Greater(i, i)", False),
        ("int64[2]", "y = Shape(x)", False),
        ("float[N,4]", "y = Relu(x)", False),
    ],
)
def test_what_scores_decide(kind, body, decided):
    text = f"""<ir_version: 9, opset_import: ["" : 20]> g {INTERFACE.format(kind)}
        <int64[1] k = {{2}}> {{ {body} }}"""
    proto = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text))
    assert decided_outputs(model_io.from_proto(proto)) == ({"y"} if decided else set())


def test_a_share_of_elements():
    wanted, came = {"y": np.array([1, 2, 3, 4])}, {"y": np.array([1, 2, 3, 5])}
    assert share_of_others("y", [({}, wanted, came)]) == 0.25
    assert share_of_others("y", [({}, wanted, came), ({}, wanted, wanted)]) == 0.125
    assert share_of_others("y", [({}, wanted, {"y": np.zeros(3)})]) == 1.0


@pytest.mark.parametrize(("tolerance", "refused"), [(0.3, False), (0.2, True)])
def test_an_artefact_may_decide_as_many_otherwise_as_its_target_allows(tolerance, refused):
    proto = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 20]>
        g (uint8[4,2] x) => (int64[4] y) {
            f = Cast<to = 1>(x) y = ArgMax<axis = 1, keepdims = 0>(f) }""")
    model = model_io.from_proto(onnx.shape_inference.infer_shapes(proto))
    inputs = {"x": np.array([[1, 2], [3, 1], [0, 1], [5, 0]], np.uint8)}
    wanted = Session(model).run(inputs)
    came = {"y": np.array([1, 0, 1, 1])}
    far = [delta for delta in compare(wanted, came) if not delta.within(tolerance)]
    assert far
    bad, told = unexplained(
        far, [(inputs, wanted, came)], tolerance,
        lowered=model, reference=Session(model), source=None,
    )  # fmt: skip
    assert bool(bad) == refused
    assert told
