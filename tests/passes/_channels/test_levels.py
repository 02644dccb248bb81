"""Channels that are constant, in graphs that are none of ONNX's too."""

from __future__ import annotations

import numpy as np
import onnx

from lprc.core.onnx_io.model_io import from_proto
from lprc.passes._channels.levels import Levels, levels_of


def test_a_weight_without_axes_makes_no_constant_channels():
    model = from_proto(
        onnx.parser.parse_model(
            """<ir_version: 9, opset_import: ["" : 18]>
            g (float[1,3,3,3] x) => (float[1,3,3,3] y) <float[3] w = {1,2,3}> {
              y = Conv<group = 3>(x, w)
            }"""
        )
    )
    (node,) = model.graph
    known = {node.inputs[0]: Levels(np.zeros(3), np.zeros(3, np.int64))}
    assert levels_of(node, known) is None
