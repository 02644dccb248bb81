"""Corrected biases take away the mean error of rounding, channel by channel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from applying import apply_pass
from linear_layers import LAYERS, correlated_samples, layer_model, model

from lprc.core.errors import DataError, UsageError
from lprc.core.graph import editing
from lprc.core.graph.annotations import Grid, Range, set_grid, set_range
from lprc.core.onnx_io import model_io
from lprc.core.options import from_texts
from lprc.core.quantization.affine import expand, quantize_weight, weight_scale
from lprc.core.running.numerics import run
from lprc.passes._fitting.channel_statistics import ChannelStatistics, channel_statistics
from lprc.passes._fitting.shadow import Shadow
from lprc.passes._fitting.unfold import Unfolded, unfolded
from lprc.passes.correct_bias import CorrectBias


def rounded(source, *, bits=4, scheme=None):
    """A copy with weights rounded to nearest and activations rounded where a range is recorded."""
    layers = [layer for node in source.graph if isinstance(layer := unfolded(node), Unfolded)]
    shadow = Shadow(source, [layer.node for layer in layers], scheme)
    for layer in layers:
        scale = weight_scale(layer.array, layer.out_axis, bits=bits)
        integers = quantize_weight(layer.array, scale, layer.out_axis, bits=bits)
        array = integers * expand(scale, layer.array.shape, layer.out_axis)
        shadow.set_constant(layer.node, 1, array)
    return shadow.model


def mean_error(exact, other, samples, axis=1):
    """For each channel of `y`."""
    total = sum(run(exact, x)["y"].astype(np.float64) - run(other, x)["y"] for x in samples)
    others = tuple(each for each in range(total.ndim) if each != axis % total.ndim)
    return total.mean(axis=others) / len(samples)


@pytest.mark.parametrize("prefix", ["float", "quantized"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_mean_error_goes(name, prefix):
    source, changed = layer_model(name), layer_model(name)
    samples = correlated_samples(source)
    axis = -1 if "matmul" in name else 1
    context = apply_pass(changed, CorrectBias(bits=4, prefix=prefix), calibration=samples)
    assert len(context.rewrites) == 1
    before = np.abs(mean_error(source, rounded(source), samples, axis)).max()
    after = np.abs(mean_error(source, rounded(changed), samples, axis)).max()
    assert before > 1e-3
    assert after < 1e-3 * before


BIASES = {
    "conv with bias": "(float[N,3,4,4] x) => (float[N,2,2,2] y) <float[2] b = {1,-2}> { y = Conv(x, w, b) }",
    "gemm with beta": "(float[N,3] x) => (float[N,2] y) <float[2] b = {1,-2}> { y = Gemm<alpha=2.0, beta=0.5>(x, w, b) }",
    "gemm with one number": "(float[N,3] x) => (float[N,2] y) <float b = {3}> { y = Gemm<beta=0.5>(x, w, b) }",
    "gemm with a column": "(float[2,3] x) => (float[2,2] y) <float[2,1] b = {3,4}> { y = Gemm(x, w, b) }",
    "gemm with beta zero": "(float[N,3] x) => (float[N,2] y) <float[2] b = {1,-2}> { y = Gemm<beta=0.0>(x, w, b) }",
    "matmul and add": "(float[N,3] x) => (float[N,2] y) <float[2] b = {1,-2}> { a = MatMul(x, w) y = Add(b, a) }",
    "matmul and add of one number": "(float[N,3] x) => (float[N,2] y) <float b = {1}> { a = MatMul(x, w) y = Add(a, b) }",
    "matmul and add of a matrix": "(float[2,3] x) => (float[2,2] y) <float[2,2] b = {1,2,3,4}> { a = MatMul(x, w) y = Add(a, b) }",
    "matmul with two users": "(float[N,3] x) => (float[N,2] y) { a = MatMul(x, w) r = Relu(a) y = Add(a, r) }",
}  # fmt: skip


def with_bias(name):
    shape = (2, 3, 3, 3) if "conv" in name else (3, 2)
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return model(BIASES[name], w=array)


@pytest.mark.parametrize("name", BIASES)
def test_where_the_correction_goes(name):
    source, changed = with_bias(name), with_bias(name)
    samples = correlated_samples(source)
    names = [node.name for node in source.graph]
    apply_pass(changed, CorrectBias(bits=4), calibration=samples)
    added = len(changed.graph) - len(names)
    assert added == (1 if name in ("matmul and add of a matrix", "matmul with two users") else 0)
    if name != "matmul with two users":
        assert (
            np.abs(mean_error(source, rounded(changed), samples, -1 if "mat" in name else 1)).max()
            < 1e-5
        )
    assert [value.name for value in changed.graph.outputs] == ["y"]


def test_a_bias_that_two_nodes_share_is_corrected_for_each():
    text = """(float[N,3] x) => (float[N,2] y, float[N,2] z) <float[2] b = {1,-2}> {
        y = Gemm(x, w, b)
        z = Gemm(x, v, b)
    }"""
    generator = np.random.default_rng(0)
    arrays = {name: generator.standard_normal((3, 2)).astype(np.float32) for name in "wv"}
    source, changed = model(text, **arrays), model(text, **arrays)
    samples = correlated_samples(source)
    apply_pass(changed, CorrectBias(bits=4), calibration=samples)
    first, second = changed.graph
    assert first.inputs[2] is not second.inputs[2]
    assert "b" not in changed.graph.initializers
    for output in "yz":
        error = sum(run(source, x)[output] - run(rounded(changed), x)[output] for x in samples)
        assert np.abs(error.mean(axis=0)).max() < 1e-5


def test_a_matmul_that_is_the_output_keeps_its_name():
    changed = layer_model("matmul")
    set_range(changed.graph.outputs[0], Range(-3.0, 4.0))
    apply_pass(changed, CorrectBias(bits=4), calibration=correlated_samples(changed))
    assert [node.op_type for node in changed.graph] == ["MatMul", "Add"]
    assert changed.graph.outputs[0].name == "y"
    assert "lprc.range" in changed.graph.outputs[0].metadata_props


TWO = """(float[N,4,6,6] x) => (float[N,6,2,2] y) {
    [first] a = Conv(x, v)
    r = Relu(a)
    [second] y = Conv(r, w)
}"""


def two():
    generator = np.random.default_rng(0)
    return model(
        TWO,
        v=generator.standard_normal((5, 4, 3, 3)).astype(np.float32),
        w=generator.standard_normal((6, 5, 3, 3)).astype(np.float32),
    )


def test_a_quantized_prefix_leaves_no_mean_error_at_the_end():
    source = two()
    samples = correlated_samples(source)
    after = {}
    for prefix in ("float", "quantized"):
        changed = two()
        apply_pass(changed, CorrectBias(bits=4, prefix=prefix), calibration=samples)
        after[prefix] = np.abs(mean_error(source, rounded(changed), samples)).max()
    assert after["quantized"] < 1e-5
    assert after["float"] > 1e-3


@pytest.mark.parametrize("prefix", ["float", "quantized"])
def test_rounded_activations_are_corrected_for(prefix):
    source, changed = layer_model("conv"), layer_model("conv")
    samples = correlated_samples(source)
    for each in (source, changed):
        set_range(each.graph.inputs[0], Range(0.0, 1.0))
    item = CorrectBias(prefix=prefix, scheme="unsigned")
    apply_pass(changed, item, calibration=samples)
    before = mean_error(source, rounded(source, bits=8, scheme="unsigned"), samples)
    after = mean_error(source, rounded(changed, bits=8, scheme="unsigned"), samples)
    assert np.abs(after).max() < 1e-4 * np.abs(before).max()


def test_weights_on_a_grid_are_taken_as_they_are():
    changed = layer_model("gemm transposed")
    (node,) = changed.graph
    array = editing.constant(node.inputs[1])
    scale = weight_scale(array, 0, bits=4)
    array = (quantize_weight(array, scale, 0, bits=4) * expand(scale, array.shape, 0)).astype("f4")
    node.replace_input_with(1, editing.add_initializer(changed.graph, "rounded", array))
    set_grid(node.inputs[1], Grid(4, 0, 0, scale))
    context = apply_pass(changed, CorrectBias(bits=8), calibration=correlated_samples(changed))
    assert not context.rewrites
    assert not context.skips


def test_blocks():
    source, changed = layer_model("gemm transposed"), layer_model("gemm transposed")
    samples = correlated_samples(source)
    apply_pass(changed, CorrectBias(bits=4, block=4), calibration=samples)
    layer = unfolded(source.graph[0])
    scale = weight_scale(layer.array, 1, bits=4, block=4)
    integers = quantize_weight(layer.array, scale, 1, bits=4, block=4)
    change = layer.array - integers * expand(scale, layer.array.shape, 1, 4)
    mean = np.mean([x["x"].mean(axis=0) for x in samples], axis=0)
    np.testing.assert_allclose(
        editing.constant(changed.graph[0].inputs[2]), change @ mean, atol=1e-5
    )


REASONS = {
    "the bias is not constant": "(float[N,3] x, float[2] b) => (float[N,2] y) { y = Gemm(x, w, b) }",
    "the weight is its first operand": "(float[2,N] x) => (float[3,N] y) { y = MatMul(w, x) }",
    "in a subgraph": """(float[N,3] x, bool c) => (float[N,2] y) {
        y = If (c) <
            then_branch = g1 () => (float[N,2] a) { a = MatMul(x, w) },
            else_branch = g2 () => (float[N,2] b) { b = Gemm(x, w) }
        >
    }""",
}


@pytest.mark.parametrize("reason", REASONS)
def test_reasons(reason):
    source = model(REASONS[reason], w=np.ones((3, 2), np.float32))
    context = apply_pass(source, CorrectBias())
    assert {skip.reason for skip in context.skips} == {reason}
    assert not context.rewrites


def test_bisection():
    changed = two()
    apply_pass(changed, CorrectBias(bits=4), calibration=correlated_samples(changed), limit=1)
    first, second = [node for node in changed.graph if node.op_type == "Conv"]
    assert editing.input_at(first, 2) is not None
    assert editing.input_at(second, 2) is None


def test_no_calibration_data():
    with pytest.raises(DataError, match=r"correct-bias.*--calib"):
        apply_pass(layer_model("conv"), CorrectBias())


@pytest.mark.parametrize("prefix", ["float", "quantized"])
def test_calibration_data_with_nan(prefix):
    source = layer_model("conv")
    (sample,) = correlated_samples(source, 1)
    sample["x"][0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        apply_pass(source, CorrectBias(prefix=prefix), calibration=[sample])


def test_the_same_bytes_each_time():
    results = set()
    for _ in range(2):
        changed = two()
        apply_pass(changed, CorrectBias(bits=4), calibration=correlated_samples(changed))
        results.add(model_io.to_bytes(changed))
    assert len(results) == 1


def test_options():
    made = from_texts(CorrectBias, {"method": ("analytic",), "scheme": ("none",)}, CorrectBias.name)
    assert made == CorrectBias(method="analytic", scheme=None)
    with pytest.raises(UsageError):
        from_texts(CorrectBias, {"block": ("-1",)}, CorrectBias.name)


NORMALISED = """(float[N,3,6,6] x) => (float[N,4,4,4] y)
<float[3] scale = {1,2,0.5}, float[3] offset = {0.5,-1,3}, float[3] mean = {0,0,0}, float[3] var = {1,1,1}> {
    n = BatchNormalization(x, scale, offset, mean, var)
    r = Relu(n)
    [conv] y = Conv(r, w)
}"""  # fmt: skip


def normal_samples(count, shape):
    generator = np.random.default_rng(3)
    return [{"x": generator.standard_normal((2, *shape)).astype(np.float32)} for _ in range(count)]


def test_analytic_correction_behind_batch_normalization():
    array = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    source, changed = model(NORMALISED, w=array), model(NORMALISED, w=array)
    context = apply_pass(changed, CorrectBias(method="analytic", bits=4))
    assert len(context.rewrites) == 1
    samples = normal_samples(200, (3, 6, 6))
    before = np.abs(mean_error(source, rounded(source), samples)).max()
    after = np.abs(mean_error(source, rounded(changed), samples)).max()
    assert after < 0.05 * before


def test_analytic_correction_says_where_it_knows_nothing():
    source = layer_model("conv")
    context = apply_pass(source, CorrectBias(method="analytic"))
    assert [skip.reason for skip in context.skips] == ["the mean of its input is not known"]
    assert not context.rewrites


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, math.inf), (0.0, 6.0), (-1.0, 1.0), (-math.inf, 0.5), (2.0, 3.0)]
)
def test_clipped_normals(low, high):
    statistics = ChannelStatistics(np.array([0.0, 1.5, -3.0, 7.0]), np.array([1.0, 2.0, 0.5, 0.0]))
    noise = np.random.default_rng(0).standard_normal((400_000, 1))
    drawn = np.clip(statistics.mean + statistics.deviation * noise, low, high)
    found = statistics.clipped(low, high)
    np.testing.assert_allclose(found.mean, drawn.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(found.deviation, drawn.std(axis=0), atol=0.01)


PROPAGATED = {
    "conv": "a = Conv(x, w) y = Relu(a)",
    "clip": "a = Conv(x, w) y = Clip(a, low, high)",
    "add": "a = Conv(x, w) b = Conv(x, v) y = Add(a, b)",
    "concat": "a = Conv(x, w) b = Conv(x, v) y = Concat<axis=1>(a, b)",
    "grouped": "a = Conv(x, w) y = Conv<group=2>(a, u)",
    "transposed": "y = ConvTranspose<strides=[2,2]>(x, t)",
}


@pytest.mark.parametrize("name", PROPAGATED)
def test_means_pass_through(name):
    generator = np.random.default_rng(1)
    shapes = {"w": (4, 4, 1, 1), "v": (4, 4, 1, 1), "u": (4, 2, 1, 1), "t": (4, 4, 2, 2)}
    arrays = {
        key: generator.standard_normal(shape).astype(np.float32)
        for key, shape in shapes.items()
        if f" {key})" in PROPAGATED[name]
    }
    text = f"(float[2,4,5,5] x) => (float[a,b,c,d] y) <float low = {{-1}}, float high = {{2}}> {{ {PROPAGATED[name]} }}"
    source = model(text, **arrays)
    set_range(source.graph.inputs[0], Range(-1.0, 3.0))
    found = channel_statistics(source.graph)[source.graph.outputs[0]]
    generator = np.random.default_rng(2)
    outputs = [
        run(source, {"x": generator.uniform(-1, 3, (2, 4, 5, 5)).astype(np.float32)})["y"]
        for _ in range(300)
    ]
    drawn = np.moveaxis(np.stack(outputs), 2, 0).reshape(found.mean.size, -1)
    # Sums of four uniforms are not quite normal, and Add takes its operands as independent.
    np.testing.assert_allclose(found.mean, drawn.mean(axis=1), atol=0.1)


def test_no_means_where_they_are_not_known():
    text = "(float[2,4,5,5] x) => (float[a,b,c,d] y) { m = MaxPool<kernel_shape=[2,2]>(x) y = Relu(m) }"
    source = model(text)
    set_range(source.graph.inputs[0], Range(-1.0, 3.0))
    assert list(channel_statistics(source.graph)) == [source.graph.inputs[0]]
