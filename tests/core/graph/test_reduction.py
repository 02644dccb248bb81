"""Which axes a Reduce operator reduces: as ONNX Runtime does it, in both ways to write them."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.graph.reduction import reduced_axes
from lprc.core.running.numerics import run

SHAPE = (2, 3, 4)


def reduction(opset, attributes="", axes=None):
    given, weights = "", ""
    if axes is not None:
        listed = ",".join(map(str, axes))
        given, weights = ", axes", f"<int64[{len(axes)}] axes = {{{listed}}}>"
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]>
    g (float[2,3,4] x) => (float[a,b,c] y) {weights} {{ y = ReduceSum{attributes} (x{given}) }}"""
    if opset < 13:
        text = text.replace("ReduceSum", "ReduceMean")
    return ir.from_proto(onnx.parser.parse_model(text))


@pytest.mark.parametrize(
    ("opset", "attributes", "axes", "wanted"),
    [
        (11, "<axes=[1]>", None, (1,)),
        (11, "<axes=[-1,0]>", None, (0, 2)),
        (11, "", None, (0, 1, 2)),
        (13, "", (2, -3), (0, 2)),
        (13, "", None, (0, 1, 2)),
        (13, "", (), (0, 1, 2)),
        (18, "<noop_with_empty_axes=1>", None, ()),
        (18, "<noop_with_empty_axes=1>", (), ()),
        (18, "<noop_with_empty_axes=1>", (1,), (1,)),
    ],
)
def test_the_axes_are_those_that_become_one(opset, attributes, axes, wanted):
    model = reduction(opset, attributes, axes)
    assert reduced_axes(model.graph[-1], len(SHAPE)) == wanted
    result = run(model, {"x": np.ones(SHAPE, dtype=np.float32)})["y"]
    assert result.shape == tuple(1 if axis in wanted else SHAPE[axis] for axis in range(3))


def test_computed_axes_can_vary():
    text = """<ir_version: 8, opset_import: ["" : 18]>
    g (float[2,3,4] x, int64[1] axes) => (float[a,b,c] y) { y = ReduceSum(x, axes) }"""
    model = ir.from_proto(onnx.parser.parse_model(text))
    assert reduced_axes(model.graph[-1], len(SHAPE)) is None
