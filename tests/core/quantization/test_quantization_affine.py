from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lprc.core.graph.annotations import (
    GRID,
    RANGE,
    Grid,
    Range,
    grid_of,
    range_of,
    set_grid,
    set_range,
)
from lprc.core.quantization.affine import (
    FLOOR,
    SCHEMES,
    activation_params,
    expand,
    fake_quantize,
    floored,
    quantize_weight,
    weight_scale,
)
from lprc.core.running.numerics import run

RANGES = [(-1.0, 2.0), (0.0, 6.0), (-3.0, 0.0), (-5.0, -1.0), (2.0, 3.0), (-1e-3, 1e4), (0.0, 0.0)]


@pytest.mark.parametrize(
    ("scheme", "found", "scale", "zero", "dtype"),
    [
        ("symmetric", (-1.0, 2.54), 0.02, 0, np.int8),
        ("symmetric", (0.0, 1.27), 0.01, 0, np.int8),
        ("unsigned", (0.0, 2.55), 0.01, 0, np.uint8),
        ("unsigned", (-0.5, 1.27), 0.01, 0, np.int8),
        ("asymmetric", (-0.5, 2.05), 0.01, 50, np.uint8),
        ("asymmetric", (1.0, 2.55), 0.01, 0, np.uint8),
        ("asymmetric", (-2.55, -1.0), 0.01, 255, np.uint8),
        ("symmetric", (0.0, 0.0), 1.0, 0, np.int8),
        ("unsigned", (0.0, 0.0), 1.0, 0, np.uint8),
        ("asymmetric", (0.0, 0.0), 1.0, 0, np.uint8),
        ("symmetric", (-1e-38, 1e-38), 1.0, 0, np.int8),
    ],
)
def test_scale_and_zero_point(scheme, found, scale, zero, dtype):
    params = activation_params(Range(*found), scheme)
    assert params.scale == pytest.approx(scale, rel=1e-6)
    assert params.scale.dtype == np.float32
    assert params.zero_point.dtype == dtype
    assert int(params.zero_point) == zero


def operators(array: np.ndarray, scheme: str, found: Range) -> np.ndarray:
    """What QuantizeLinear and DequantizeLinear of ONNX Runtime leave of `array`."""
    params = activation_params(found, scheme)
    text = f"""<ir_version: 9, opset_import: ["" : 20]>
    g (float[N] x, float s, {params.zero_point.dtype}[] z) => (float[N] y)
    {{ q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }}"""
    model = ir.from_proto(onnx.parser.parse_model(text.replace("float s", "float[] s")))
    return run(model, {"x": array, "s": params.scale, "z": params.zero_point})["y"]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("found", RANGES)
def test_fake_quantisation_is_what_the_operators_do(scheme, found):
    array = np.random.default_rng(0).uniform(found[0], found[1], 5000).astype(np.float32)
    params = activation_params(Range(*found), scheme)
    # Halves, which round to even.
    array[:50] = (np.arange(50) - 25 + 0.5) * params.scale
    inside = np.clip(array, *sorted([-127 * params.scale, array.max()]))
    expected = operators(inside, scheme, Range(*found))
    np.testing.assert_array_equal(fake_quantize(inside, params), expected)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_in_the_range_is_clipped_and_zero_is_exact(scheme):
    for low, high in RANGES[:-1]:
        params = activation_params(Range(low, high), scheme)
        ends = np.array([low, high, 0.0], np.float32)
        left = np.abs(fake_quantize(ends, params) - ends)
        assert left.max() <= params.scale * 0.5001
        assert left[2] == 0


weights = npst.arrays(
    np.float32,
    npst.array_shapes(min_dims=2, max_dims=4, max_side=5),
    elements=st.floats(-100, 100, width=32),
)


@settings(max_examples=100, deadline=None)
@given(weights, st.sampled_from([None, 0, 1]), st.sampled_from([4, 8]), st.integers(0, 3))
def test_weights_lie_within_half_a_step(weight, axis, bits, block):
    axis = 0 if block and axis is None else axis
    scale = weight_scale(weight, axis, bits=bits, block=block)
    integers = quantize_weight(weight, scale, axis, bits=bits, block=block)
    wide = expand(scale, weight.shape, axis, block)
    assert np.abs(integers).max(initial=0) <= 2 ** (bits - 1) - 1
    assert (np.abs(integers * wide - weight) <= wide * 0.5001).all()
    assert (scale > 0).all()
    if block:
        shape = list(weight.shape)
        shape[axis] = -(-shape[axis] // block)
        assert scale.shape == tuple(shape)
    else:
        assert scale.shape == (() if axis is None else (weight.shape[axis],))


@settings(max_examples=50, deadline=None)
@given(weights, st.sampled_from([None, 0, 1]))
def test_the_scale_is_the_largest_over_the_limit(weight, axis):
    scale = weight_scale(weight, axis)
    slices = [weight] if axis is None else np.moveaxis(weight, axis, 0)
    largest = np.array([float(np.abs(each).max()) for each in slices])
    if largest.max() > 1e-30:
        expected = np.maximum(largest, largest.max() * FLOOR) / 127
        np.testing.assert_allclose(scale.reshape(-1), expected, rtol=1e-6)
    else:
        assert (scale == 1).all()


def test_scales_have_a_floor():
    np.testing.assert_array_equal(
        floored(np.array([1.0, 0.0, 1e-12])), np.float32([1, FLOOR, FLOOR])
    )
    np.testing.assert_array_equal(floored(np.zeros(2)), np.float32([1, 1]))


def test_a_tensor_of_zeros():
    weight = np.zeros((2, 3), np.float32)
    assert not quantize_weight(weight, weight_scale(weight, 0), 0).any()


def test_a_range_is_read_back():
    value = ir.Value(name="x")
    assert range_of(value) is None
    set_range(value, Range(-0.0, 0.1))
    assert value.metadata_props[RANGE] == "[0.0, 0.1]"
    assert range_of(value) == Range(0.0, 0.1)
    assert range_of(None) is None
    assert Range(-3, 2).magnitude == 3


def test_a_grid_is_read_back():
    value = ir.Value(name="w")
    scale = np.array([[0.1, 0.2], [0.3, 1e-8]], np.float32)
    set_grid(value, Grid(4, 1, 2, scale))
    found = grid_of(value)
    assert (found.bits, found.axis, found.block) == (4, 1, 2)
    np.testing.assert_array_equal(found.scale, scale)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"bits": 8}', '{"bits":8,"axis":0,"block":0,"shape":[2],"scale":[1,-1]}',
     '{"bits":8,"axis":0,"block":0,"shape":[1],"scale":[NaN]}',
     '{"bits":8,"axis":0,"block":0,"shape":[3],"scale":[1,1]}'],
)  # fmt: skip
def test_a_grid_that_makes_no_sense_counts_as_none(text):
    value = ir.Value(name="w")
    value.metadata_props[GRID] = text
    assert grid_of(value) is None
