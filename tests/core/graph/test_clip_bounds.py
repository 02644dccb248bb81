"""The bounds of a Clip, in the forms of all operator sets."""

from __future__ import annotations

import math

import onnx_ir as ir
import pytest

from lprc.core.graph.clip_bounds import clip_bounds


@pytest.mark.parametrize(
    ("opset", "node", "bounds"),
    [
        (9, "Clip<min = -1.0, max = 6.0>(x)", (-1, 6)),
        (9, "Clip<max = 6.0>(x)", (-math.inf, 6)),
        (13, "Clip(x, low, high)", (-1, 6)),
        (13, 'Clip(x, "", high)', (-math.inf, 6)),
        (13, "Clip(x)", (-math.inf, math.inf)),
        (13, "Clip(x, x)", None),
        (13, "Clip(x, nan)", None),
    ],
)
def test_bounds(opset, node, bounds):
    model = ir.from_onnx_text(f"""<ir_version: 8, opset_import: ["" : {opset}]>
    g (float x) => (float y) <float low = {{-1}}, float high = {{6}}, float nan = {{nan}}> {{ y = {node} }}""")
    assert clip_bounds(model.graph.node(0)) == bounds
