"""Dot products at chosen positions, against all of them and against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from linear_layers import LAYERS, correlated_samples, layer_model

from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import from_proto
from lprc.core.running.numerics import run
from lprc.passes._fitting.unfold import unfolded


@pytest.mark.parametrize("name", LAYERS)
def test_columns_at_positions_are_those_of_all(name):
    source = layer_model(name)
    layer = unfolded(next(iter(source.graph)))
    sample = correlated_samples(source, 1)[0]["x"]
    everything = np.concatenate(list(layer.columns(sample)), axis=1)
    chosen = np.random.default_rng(0).permutation(everything.shape[1])[:7]
    np.testing.assert_array_equal(layer.columns_at(sample, chosen), everything[:, chosen])


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_stand_in_the_order_of_columns(name):
    source = layer_model(name)
    node = next(iter(source.graph))
    layer = unfolded(node)
    sample = correlated_samples(source, 1)[0]
    columns = np.concatenate(list(layer.columns(sample["x"])), axis=1)
    rows = layer.rows(layer.array) * editing.attribute(node, "alpha", 1.0)
    np.testing.assert_allclose(
        layer.outputs(run(source, sample)["y"]), columns @ rows.swapaxes(1, 2), rtol=1e-4, atol=1e-5
    )


def test_groups_that_do_not_divide_the_channels_are_no_dot_products():
    graph = from_proto(
        onnx.parser.parse_model(
            """<ir_version: 9, opset_import: ["" : 18]>
            g (float[1,4,3,3] x) => (float[1,3,3,3] y)
            <float[3,2,1,1] w = {1,2,3,4,5,6}> { y = Conv<group = 2>(x, w) }"""
        )
    )
    said = unfolded(next(iter(graph.graph)))
    assert said == "its 2 groups do not divide the weight's 3 channels"
