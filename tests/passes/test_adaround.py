"""AdaRound and GPTQ never lose to rounding to nearest, and what they find is kept."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from applying import apply_pass
from linear_layers import LAYERS, correlated_samples, layer_model, model

from lprc.core.errors import DataError, UsageError
from lprc.core.graph import editing
from lprc.core.graph.annotations import Range, grid_of, set_range
from lprc.core.onnx_io import model_io
from lprc.core.options import from_texts
from lprc.core.quantization.affine import expand, quantize_weight, weight_scale
from lprc.core.running.numerics import run
from lprc.passes import adaround
from lprc.passes._fitting.moments import Moments
from lprc.passes._fitting.unfold import unfolded
from lprc.passes._rounding import reconstruction
from lprc.passes._rounding.reconstruction import Problem
from lprc.passes.adaround import AdaRound
from lprc.passes.quantize_weights import QuantizeWeights


def the_layer(source):
    (found,) = [node for node in source.graph if unfolded(node) is not None]
    layer = unfolded(found)
    assert not isinstance(layer, str)
    return layer


def on_grid(value):
    grid, array = grid_of(value), editing.constant(value)
    integers = quantize_weight(array, grid.scale, grid.axis, bits=grid.bits, block=grid.block)
    return grid, integers, expand(grid.scale, array.shape, grid.axis, grid.block)


def output_error(exact, other, samples, name="y"):
    return sum(float(((run(exact, x)[name] - run(other, x)[name]) ** 2).sum()) for x in samples)


def nearest(source, *, bits=4, block=0):
    copy = model_io.from_proto(model_io.to_proto(source))
    layer = the_layer(copy)
    axis = layer.in_axis if block else layer.out_axis
    scale = weight_scale(layer.array, axis, bits=bits, block=block)
    integers = quantize_weight(layer.array, scale, axis, bits=bits, block=block)
    array = (integers * expand(scale, layer.array.shape, axis, block)).astype(np.float32)
    layer.node.replace_input_with(1, editing.add_initializer(copy.graph, "rounded", array))
    return copy


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_its_columns_times_its_rows(name, chunk, monkeypatch):
    monkeypatch.setattr("lprc.passes._fitting.unfold.CHUNK", chunk)
    source = layer_model(name)
    layer = the_layer(source)
    (inputs,) = correlated_samples(source, 1)
    if layer.array.ndim > 2 and chunk < 1000:
        # Chunks cut each image by itself: with two, the order of positions would be another.
        inputs = {"x": inputs["x"][:1]}
    wanted = run(source, inputs)["y"]
    rows = layer.rows(layer.array).transpose(0, 2, 1)
    parts = [part @ rows for part in layer.columns(inputs["x"])]
    assert len(parts) > 1 or chunk > 1
    found = np.moveaxis(np.concatenate(parts, axis=1), 0, 1).reshape(
        -1, rows.shape[0] * rows.shape[2]
    )
    ordered = wanted if layer.array.ndim == 2 else np.moveaxis(wanted, 1, -1)
    found = found * editing.attribute(layer.node, "alpha", 1.0)
    np.testing.assert_allclose(found, ordered.reshape(found.shape), rtol=1e-4, atol=1e-4)
    assert np.array_equal(layer.fold(layer.rows(layer.array)), layer.array)


@pytest.mark.parametrize("method", ["adaround", "gptq"])
@pytest.mark.parametrize("name", LAYERS)
def test_no_layer_gets_worse_than_rounded_to_nearest(name, method):
    source, changed = layer_model(name), layer_model(name)
    samples = correlated_samples(source)
    context = apply_pass(
        changed, AdaRound(bits=4, method=method, iterations=100), calibration=samples
    )
    assert len(context.rewrites) == 1
    found = output_error(source, changed, samples)
    # Float32 sums of the outputs are what differs from the moments that the pass works with.
    assert found <= output_error(source, nearest(source), samples) * 1.0001
    layer = the_layer(changed)
    grid, integers, steps = on_grid(layer.weight)
    assert (grid.bits, grid.axis, grid.block) == (4, layer.out_axis, 0)
    assert np.array_equal((integers * steps).astype(np.float32), layer.array)
    assert np.abs(integers).max() <= 7


@pytest.mark.parametrize("method", ["adaround", "gptq"])
def test_correlated_inputs_are_worth_it(method):
    source, changed = layer_model("conv"), layer_model("conv")
    samples = correlated_samples(source)
    apply_pass(changed, AdaRound(bits=4, method=method), calibration=samples)
    assert output_error(source, changed, samples) < 0.5 * output_error(
        source, nearest(source), samples
    )


@pytest.mark.parametrize("name", ["conv", "gemm transposed", "matmul", "transposed"])
def test_blocks(name):
    source, changed = layer_model(name), layer_model(name)
    samples = correlated_samples(source)
    apply_pass(changed, AdaRound(bits=4, block=2, method="gptq"), calibration=samples)
    layer = the_layer(changed)
    grid, integers, steps = on_grid(layer.weight)
    assert (grid.axis, grid.block) == (layer.in_axis, 2)
    assert np.array_equal((integers * steps).astype(np.float32), layer.array)
    assert output_error(source, changed, samples) <= 1.0001 * output_error(
        source, nearest(source, block=2), samples
    )


@pytest.mark.parametrize(("bits", "block"), [(8, 0), (4, 0), (4, 4)])
def test_quantize_weights_reproduces_the_integers(bits, block):
    changed = layer_model("conv")
    samples = correlated_samples(changed)
    apply_pass(changed, AdaRound(bits=bits, block=block, scale="mse"), calibration=samples)
    _, integers, _ = on_grid(the_layer(changed).weight)
    before = [run(changed, x)["y"] for x in samples]
    apply_pass(changed, QuantizeWeights(bits=bits, block=block, min_elements=0))
    (dequantize,) = [node for node in changed.graph if node.op_type == "DequantizeLinear"]
    stored = editing.constant(dequantize.inputs[0])
    assert np.array_equal(stored.astype(np.int8), integers)
    for x, wanted in zip(samples, before, strict=True):
        np.testing.assert_allclose(run(changed, x)["y"], wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["conv", "grouped", "transposed grouped", "matmul"])
def test_clipped_scales_leave_no_more_error(name):
    source = layer_model(name)
    samples = correlated_samples(source)
    errors = []
    for scale in ("max", "mse"):
        changed = layer_model(name)
        apply_pass(changed, AdaRound(bits=4, method="gptq", scale=scale), calibration=samples)
        errors.append(output_error(source, changed, samples))
        _, integers, steps = on_grid(the_layer(changed).weight)
        assert np.array_equal((integers * steps).astype(np.float32), the_layer(changed).array)
    assert errors[1] <= errors[0] * 1.0001


@pytest.mark.parametrize("method", ["adaround", "gptq"])
def test_the_same_bytes_each_time(method):
    results = set()
    for _ in range(2):
        changed = layer_model("conv")
        item = AdaRound(bits=4, method=method, iterations=50)
        apply_pass(changed, item, calibration=correlated_samples(changed))
        results.add(model_io.to_bytes(changed))
    assert len(results) == 1


TWO = """(float[N,4,6,6] x) => (float[N,6,2,2] y) {
    [first] a = Conv(x, v)
    r = Relu(a)
    [second] y = Conv(r, w)
}"""


def two(seed=0):
    generator = np.random.default_rng(seed)
    return model(
        TWO,
        v=generator.standard_normal((5, 4, 3, 3)).astype(np.float32),
        w=generator.standard_normal((6, 5, 3, 3)).astype(np.float32),
    )


def test_asymmetric_reconstruction_makes_up_for_the_layers_in_front():
    source = two()
    samples = correlated_samples(source, 30)
    errors = {}
    for asymmetric in (False, True):
        changed = two()
        item = AdaRound(bits=4, method="gptq", asymmetric=asymmetric)
        apply_pass(changed, item, calibration=samples)
        errors[asymmetric] = output_error(source, changed, samples)
    assert errors[True] < 0.9 * errors[False]


def test_rounded_activations_are_made_up_for():
    samples = correlated_samples(layer_model("conv"), 10)
    errors = {}
    for scheme in (None, "symmetric"):
        changed = layer_model("conv")
        # Most of the values are clipped, so that their errors have a mean.
        set_range(changed.graph.inputs[0], Range(0.0, 1.0))
        apply_pass(changed, AdaRound(bits=8, scheme=scheme), calibration=samples)
        clipped = [{"x": np.minimum(x["x"], 1.0)} for x in samples]
        exact = layer_model("conv")
        errors[scheme] = sum(
            float(((run(exact, x)["y"] - run(changed, c)["y"]) ** 2).sum())
            for x, c in zip(samples, clipped, strict=True)
        )
    assert errors["symmetric"] < 0.9 * errors[None]


def test_layers_that_share_a_weight_are_rounded_together():
    array = np.random.default_rng(0).standard_normal((4, 4, 3, 3)).astype(np.float32)
    text = """(float[N,4,6,6] x) => (float[N,4,2,2] y) {
        [first] a = Conv(x, w)
        [second] y = Conv(a, w)
    }"""
    changed = model(text, w=array)
    context = apply_pass(changed, AdaRound(method="gptq"), calibration=correlated_samples(changed))
    first, second = [node for node in changed.graph if node.op_type == "Conv"]
    assert len(context.rewrites) == 1
    assert first.inputs[1] is second.inputs[1]
    assert grid_of(first.inputs[1]) is not None
    assert list(changed.graph.initializers) == [first.inputs[1].name]


REASONS = {
    "the weight has other uses": (
        "(float[N,3] x) => (float[N,3] y, float[3,3] z) { y = MatMul(x, w) z = Abs(w) }"
    ),
    "the weight is shared by layers that read it differently": (
        "(float[N,3] x) => (float[N,3] y) { a = Gemm(x, w) y = Gemm<transB=1>(a, w) }"
    ),
    "the weight is its first operand": "(float[3,N] x) => (float[3,N] y) { y = MatMul(w, x) }",
}


@pytest.mark.parametrize("reason", REASONS)
def test_reasons(reason):
    array = np.random.default_rng(0).standard_normal((3, 3)).astype(np.float32)
    assert_left_alone(model(REASONS[reason], w=array), AdaRound(), reason)


def assert_left_alone(source, item, reason, samples=None):
    before = model_io.to_bytes(source)
    context = apply_pass(source, item, calibration=samples or correlated_samples(source))
    assert {skip.reason for skip in context.skips} == {reason}
    assert not context.rewrites
    stamped = model_io.from_proto(model_io.to_proto(source))
    assert editing.constant(stamped.graph.initializers["w"]) is not None or not before


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones((2, 3, 3), np.float32), "the weight is not a matrix"),
        (np.full((3, 3), np.nan, np.float32), "the weight is empty or not finite"),
    ],
)
def test_weights_that_do_not_fit(array, reason):
    text = "(float[2,2,3] x) => (float[a,b,c] y) { y = MatMul(x, w) }"
    assert_left_alone(model(text, w=array), AdaRound(), reason)


def test_other_types_are_left_alone():
    text = "(float16[2,3] x) => (float16[2,3] y) { y = MatMul(x, w) }"
    assert_left_alone(
        model(text, w=np.ones((3, 3), np.float16)), AdaRound(), "the weight is not float32"
    )


def test_a_conv_whose_weight_is_computed():
    source = model("(float[N,3,4,4] x, float[2,3,3,3] v) => (float[N,2,2,2] y) { y = Conv(x, v) }")
    context = apply_pass(source, AdaRound())
    assert [skip.reason for skip in context.skips] == ["the weight is not constant"]


def test_a_product_of_two_activations_is_no_candidate():
    source = model("(float[N,3] x, float[3,3] v) => (float[N,3] y) { y = MatMul(x, v) }")
    context = apply_pass(source, AdaRound())
    assert not context.skips


def test_automatic_padding_of_a_transposed_conv():
    text = '(float[N,3,4,4] x) => (float[a,b,c,d] y) { y = ConvTranspose<auto_pad="SAME_UPPER", strides=[2,2]>(x, w) }'
    assert_left_alone(
        model(text, w=np.ones((3, 2, 3, 3), np.float32)), AdaRound(), "its padding is automatic"
    )


def test_the_last_block_may_be_smaller():
    source, changed = layer_model("conv"), layer_model("conv")
    samples = correlated_samples(source)
    apply_pass(changed, AdaRound(bits=4, block=3, method="gptq"), calibration=samples)
    layer = the_layer(changed)
    grid, integers, steps = on_grid(layer.weight)
    assert grid.scale.shape == (6, 2, 3, 3)
    assert np.array_equal((integers * steps).astype(np.float32), layer.array)
    assert output_error(source, changed, samples) <= 1.0001 * output_error(
        source, nearest(source, block=3), samples
    )


def test_small_weights():
    assert_left_alone(layer_model("gemm"), AdaRound(min_elements=41), "the weight is small")
    changed = layer_model("gemm")
    samples = correlated_samples(changed)
    assert apply_pass(changed, AdaRound(min_elements=40), calibration=samples).rewrites


def test_excluded_nodes():
    changed = two()
    samples = correlated_samples(changed)
    context = apply_pass(changed, AdaRound(exclude=("second",)), calibration=samples)
    assert [(skip.node, skip.reason) for skip in context.skips] == [("second", "excluded")]
    assert [rewrite.node for rewrite in context.rewrites] == ["first"]
    with pytest.raises(UsageError, match="third"):
        apply_pass(two(), AdaRound(exclude=("third",)), calibration=samples)


def test_rows_that_are_too_long(monkeypatch):
    monkeypatch.setattr(adaround, "LARGEST", 35)
    reason = "its rows are too long for a second moment (more than 35)"
    assert_left_alone(layer_model("conv"), AdaRound(), reason)


def test_a_weight_on_a_grid_is_left_alone():
    changed = layer_model("conv")
    samples = correlated_samples(changed)
    apply_pass(changed, AdaRound(bits=4), calibration=samples)
    context = apply_pass(changed, AdaRound(bits=4), calibration=samples)
    assert [skip.reason for skip in context.skips] == ["the weight is on a grid already"]
    assert not context.rewrites


def test_subgraphs_are_not_entered():
    source = model(
        """(float[N,3] x, bool c) => (float[N,3] y) {
        y = If (c) <
            then_branch = g1 () => (float[N,3] a) { a = MatMul(x, w) },
            else_branch = g2 () => (float[N,3] b) { b = Neg(x) }
        >
    }""",
        w=np.ones((3, 3), np.float32),
    )
    context = apply_pass(source, AdaRound())
    assert [skip.reason for skip in context.skips] == ["in a subgraph"]


def test_a_weight_that_a_caller_may_override():
    source = model("(float[N,3,4,4] x, float[2,3,3,3] w) => (float[N,2,2,2] y) { y = Conv(x, w) }",
                   w=np.ones((2, 3, 3, 3), np.float32))  # fmt: skip
    context = apply_pass(source, AdaRound())
    assert [skip.reason for skip in context.skips] == ["the weight is not constant"]


def test_a_row_that_is_better_off_nearest_is_said(monkeypatch):
    def wrong(problem, **_):
        integers = problem.nearest(problem.target)
        integers[:, 0] = -integers[:, 0]
        return integers

    monkeypatch.setattr(reconstruction, "adaround", wrong)
    changed = layer_model("conv")
    context = apply_pass(
        changed, AdaRound(bits=4, refine=0), calibration=correlated_samples(changed)
    )
    assert [skip.reason for skip in context.skips] == [
        "rounding to nearest is better for some rows"
    ]
    wanted = the_layer(nearest(layer_model("conv"))).array
    assert np.array_equal(the_layer(changed).array[0], wanted[0])


def test_bisection_stops_between_layers():
    changed = two()
    context = apply_pass(changed, AdaRound(), calibration=correlated_samples(changed), limit=1)
    first, second = [node for node in changed.graph if node.op_type == "Conv"]
    assert len(context.rewrites) == 1
    assert grid_of(first.inputs[1]) is not None
    assert grid_of(second.inputs[1]) is None


def test_no_calibration_data():
    with pytest.raises(DataError, match=r"adaround.*--calib"):
        apply_pass(layer_model("conv"), AdaRound())


def test_calibration_data_with_nan():
    source = layer_model("conv")
    (sample,) = correlated_samples(source, 1)
    sample["x"][0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        apply_pass(source, AdaRound(), calibration=[sample])


def test_inputs_that_are_always_zero():
    source = layer_model("conv")
    zeros = [{"x": np.zeros((1, 4, 6, 7), np.float32)}]
    for method in ("adaround", "gptq"):
        changed = layer_model("conv")
        apply_pass(changed, AdaRound(bits=4, method=method), calibration=zeros)
        assert np.array_equal(the_layer(changed).array, the_layer(nearest(source)).array)


def test_options():
    made = from_texts(
        AdaRound, {"bits": ("4",), "method": ("gptq",), "scheme": ("none",)}, AdaRound.name
    )
    assert made == AdaRound(bits=4, method="gptq", scheme=None)
    with pytest.raises(UsageError):
        from_texts(AdaRound, {"bits": ("3",)}, AdaRound.name)
    with pytest.raises(UsageError):
        from_texts(AdaRound, {"block": ("-1",)}, AdaRound.name)


def problem(seed, *, size=4, rows=5, limit=2):
    generator = np.random.default_rng(seed)
    mixed = generator.standard_normal((size, size)) + 1
    return Problem(
        target=generator.uniform(-1.8, 1.8, (1, rows, size)),
        scale=np.ones((1, rows, size)),
        moment=(mixed @ mixed.T)[None],
        limit=limit,
    )


def optimum(given):
    best = np.full(given.target.shape[:2], np.inf)
    for integers in itertools.product(range(-given.limit, given.limit + 1), repeat=4):
        best = np.minimum(
            best, given.error(np.broadcast_to(np.array(integers), given.target.shape))
        )
    return best


@pytest.mark.parametrize("seed", range(5))
def test_near_the_optimum_of_small_problems(seed):
    given = problem(seed)
    best, plain = optimum(given).sum(), given.error(given.nearest(given.target)).sum()
    factors = reconstruction.gptq_factors(given.moment)
    for found in (
        reconstruction.gptq(given, factors),
        reconstruction.adaround(given, iterations=300),
    ):
        refined = reconstruction.descend(given, found)
        assert (given.error(refined) <= given.error(found) + 1e-9).all()
        assert given.error(refined).sum() - best <= 0.5 * (plain - best) + 1e-9


def test_adaround_rounds_up_or_down():
    given = problem(0)
    found = reconstruction.adaround(given, iterations=100)
    assert np.isin(found - np.floor(given.target), (0, 1)).all()


def test_the_target_of_asymmetric_reconstruction():
    generator = np.random.default_rng(0)
    exact = generator.standard_normal((4000, 5))
    seen = exact @ generator.uniform(0.5, 1.5, (5, 5)) + 0.1 * generator.standard_normal((4000, 5))
    weight = generator.standard_normal((1, 3, 5))
    found = reconstruction.corrected_target(
        weight, (seen.T @ seen)[None], (exact.T @ seen)[None], damping=1e-9
    )
    wanted = np.linalg.lstsq(seen, exact @ weight[0].T, rcond=None)[0].T
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5, atol=1e-5)


def test_moments_do_not_depend_on_how_samples_are_gathered(monkeypatch):
    source = layer_model("grouped")
    layer = the_layer(source)
    samples = correlated_samples(source)
    columns = np.concatenate([part for x in samples for part in layer.columns(x["x"])], axis=1)
    wanted = columns.transpose(0, 2, 1).astype(np.float64) @ columns / columns.shape[1]
    for gathered in (1, 1 << 20):
        monkeypatch.setattr("lprc.passes._fitting.moments.GATHERED", gathered)
        moments = Moments(layer, cross=True)
        for x in samples:
            moments.add(layer, x["x"], 2 * x["x"])
        np.testing.assert_allclose(moments.second, wanted, rtol=1e-5)
        np.testing.assert_allclose(moments.cross, 2 * wanted, rtol=1e-5)
