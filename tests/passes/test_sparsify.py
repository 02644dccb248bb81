"""Sparse weights have their pattern, and the others make up for what is gone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from applying import apply_pass
from hypothesis import given, settings
from hypothesis import strategies as st
from linear_layers import LAYERS, correlated_samples, layer_model, model

from lprc.core.errors import DataError, UsageError
from lprc.core.graph import editing
from lprc.core.graph.weight_sparsity import Pattern, weights
from lprc.core.onnx_io import model_io
from lprc.core.options import from_texts
from lprc.core.passing.pass_base import PassContext
from lprc.core.running.numerics import run
from lprc.passes._fitting.unfold import unfolded
from lprc.passes._sparsity import layers as _sparse_layers
from lprc.passes._sparsity import masks as _sparse_masks
from lprc.passes._sparsity import positions
from lprc.passes._sparsity.permutation import best_order, permute
from lprc.passes.adaround import AdaRound
from lprc.passes.calibrate import Calibrate
from lprc.passes.convert_fp16 import ConvertFloat16
from lprc.passes.insert_qdq import InsertQDQ
from lprc.passes.quantize_weights import QuantizeWeights
from lprc.passes.sparsify import Sparsify

TWO_OF_FOUR = ["conv", "strided", "dilated", "same", "same lower", "conv1d", "gemm",
               "gemm transposed", "gemm both", "matmul", "matmul of many"]  # fmt: skip
CRITERIA = ["magnitude", "wanda", "sparsegpt"]


def output_error(exact, other, samples):
    return sum(float(((run(exact, x)["y"] - run(other, x)["y"]) ** 2).sum()) for x in samples)


def sparse(name, samples=(), **options):
    changed = layer_model(name)
    context = apply_pass(changed, Sparsify(**options), calibration=samples)
    assert len(context.rewrites) == 1
    onnx.checker.check_model(model_io.to_proto(changed), full_check=True)
    return changed


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("pattern", ["2:4", "1:4", "1:2", "3:4"])
@pytest.mark.parametrize("name", TWO_OF_FOUR)
def test_every_layer_gets_its_pattern(name, pattern, criterion):
    samples = correlated_samples(layer_model(name))
    changed = sparse(name, samples, pattern=pattern, criterion=criterion)
    (found,) = weights(changed)
    wanted = Pattern.parse(pattern)
    assert found.has_pattern(wanted.kept, wanted.group)
    assert found.density == pytest.approx(wanted.kept / wanted.group)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", LAYERS)
def test_unstructured_zeros_of_every_kind_of_layer(name, criterion):
    samples = correlated_samples(layer_model(name))
    changed = sparse(name, samples, pattern="unstructured", ratio=0.25, criterion=criterion)
    array = editing.constant(next(iter(changed.graph)).inputs[1])
    groups = editing.attribute(next(iter(changed.graph)), "group", 1)
    zeros = np.count_nonzero(array == 0)
    assert zeros == pytest.approx(array.size / 4, abs=groups)


@pytest.mark.parametrize("name", TWO_OF_FOUR)
def test_repair_makes_up_for_what_is_gone(name):
    source = layer_model(name)
    samples = correlated_samples(source, 20)
    errors = {
        repair: output_error(
            source, sparse(name, samples, criterion="magnitude", repair=repair), samples
        )
        for repair in ("none", "bias", "weights")
    }
    assert errors["weights"] < errors["bias"] <= errors["none"] * 1.0001
    chosen = output_error(source, sparse(name, samples), samples)
    assert chosen <= errors["weights"] * 1.01


@given(st.integers(0, 1000), st.sampled_from(["2:4", "1:4", "1:2", "2:8"]), st.integers(1, 2))
@settings(max_examples=30, deadline=None)
def test_magnitude_keeps_the_largest_of_each_group(seed, text, groups):
    pattern = Pattern.parse(text)
    generator = np.random.default_rng(seed)
    array = generator.standard_normal((3 * groups, 16, 3, 1)).astype(np.float32)
    changed = model(
        f"(float[N,{16 * groups},5,5] x) => (float[a,b,c,d] y) "
        f"{{ y = Conv<group={groups}>(x, w) }}",
        w=array,
    )
    apply_pass(changed, Sparsify(pattern=text, criterion="magnitude", repair="none"))
    (found,) = weights(changed)
    split = (len(array), -1, pattern.group, 3, 1)
    before, after = np.abs(array).reshape(split), np.abs(found.array).reshape(split)
    wanted = np.sort(before, axis=2)[:, :, -pattern.kept :].sum(axis=2)
    np.testing.assert_allclose(after.sum(axis=2), wanted, rtol=1e-6)
    assert (np.count_nonzero(after, axis=2) == pattern.kept).all()


TWO = """(float[N,4,6,6] x) => (float[N,6,2,2] y) {
    [first] a = Conv(x, v)
    r = Relu(a)
    [second] y = Conv(r, w)
}"""


def two():
    generator = np.random.default_rng(0)
    return model(
        TWO,
        v=generator.standard_normal((8, 4, 3, 3)).astype(np.float32),
        w=generator.standard_normal((6, 8, 3, 3)).astype(np.float32),
    )


def relu_error(source, changed, samples):
    def observed(graph):
        proto = model_io.to_proto(graph)
        proto.graph.output.add(name="r")
        return [run(proto.SerializeToString(), x)["r"] for x in samples]

    return sum(
        float(((a - b) ** 2).sum())
        for a, b in zip(observed(source), observed(changed), strict=True)
    )


def test_what_a_relu_blocks_counts_less():
    source = two()
    samples = correlated_samples(source, 40)
    errors = {}
    for relu in (False, True):
        changed = two()
        apply_pass(changed, Sparsify(relu=relu, exclude=("second",)), calibration=samples)
        errors[relu] = relu_error(source, changed, samples)
    assert errors[True] < errors[False]


def test_distillation_brings_outputs_nearer_and_keeps_zeros():
    source = two()
    samples = correlated_samples(source, 40)
    divergence = []
    for steps in (0, 60):
        changed = two()
        context = apply_pass(
            changed, Sparsify(pattern="1:4", distill=steps, rate=3e-3), calibration=samples
        )
        assert [skip.reason for skip in context.skips] == []
        assert all(weight.has_pattern(1, 4) for weight in weights(changed))
        divergence.append(
            sum(
                float((p * (np.log(p) - np.log(q))).sum())
                for x in samples
                for p, q in [(softmax(run(source, x)["y"]), softmax(run(changed, x)["y"]))]
            )
        )
    assert divergence[1] < 0.8 * divergence[0]


def softmax(logits):
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True) + 1e-12


def test_no_distillation_without_gradients():
    text = TWO.replace("r = Relu(a)", "r = Erf(a)")
    generator = np.random.default_rng(0)
    changed = model(
        text,
        v=generator.standard_normal((8, 4, 3, 3)).astype(np.float32),
        w=generator.standard_normal((6, 8, 3, 3)).astype(np.float32),
    )
    context = apply_pass(changed, Sparsify(distill=3), calibration=correlated_samples(changed))
    assert [skip.reason for skip in context.skips] == ["not distilled: no gradient of Erf"]
    assert all(weight.has_pattern(2, 4) for weight in weights(changed))


def test_zeros_survive_rounding_and_quantisation():
    source = two()
    samples = correlated_samples(source, 10)
    apply_pass(source, Sparsify(), calibration=samples)
    masks = [weight.array == 0 for weight in weights(source)]
    chains = [
        [Calibrate(), InsertQDQ()],
        [Calibrate(), AdaRound(bits=8, iterations=50), InsertQDQ()],
        [Calibrate(), AdaRound(bits=8, method="gptq"), InsertQDQ()],
        [AdaRound(bits=4, iterations=50), QuantizeWeights(bits=4, min_elements=0)],
        [
            AdaRound(bits=4, method="gptq", asymmetric=False),
            QuantizeWeights(bits=4, min_elements=0),
        ],
        [QuantizeWeights(bits=4, block=4, min_elements=0)],
        [Calibrate(), ConvertFloat16()],
    ]
    for chain in chains:
        changed = model_io.from_proto(model_io.to_proto(source))
        for item in chain:
            apply_pass(changed, item, calibration=samples)
        found = [weight.array for weight in weights(changed)]
        assert len(found) == 2
        for array, mask in zip(found, masks, strict=True):
            assert not array[mask].astype(np.float32).any(), chain
            assert np.count_nonzero(array.astype(np.float32)) > 0.3 * array.size


@pytest.mark.parametrize(("method", "asymmetric"), [("adaround", True), ("gptq", False)])
def test_adaround_within_a_mask_is_no_worse_than_nearest(method, asymmetric):
    source = layer_model("conv")
    samples = correlated_samples(source)
    apply_pass(source, Sparsify(), calibration=samples)
    rounded = model_io.from_proto(model_io.to_proto(source))
    item = AdaRound(bits=4, method=method, asymmetric=asymmetric, iterations=100)
    apply_pass(rounded, item, calibration=samples)
    plain = model_io.from_proto(model_io.to_proto(source))
    apply_pass(plain, QuantizeWeights(bits=4, min_elements=0))
    assert output_error(source, rounded, samples) <= output_error(source, plain, samples) * 1.0001


SHARED = "(float[N,4] x) => (float[N,4] y) { [one] a = MatMul(x, w) [two] y = MatMul(a, w) }"
BRANCHES = """(float[N,4] x, bool c) => (float[N,4] y) {
    y = If (c) <then_branch = t () => (float[N,4] p) { [inner] p = MatMul(x, w) },
                else_branch = e () => (float[N,4] q) { q = Identity(x) }>
}"""


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        (SHARED, {}, "the weight has other uses"),
        (BRANCHES, {}, "in a subgraph"),
        ("(float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }", {"min_elements": 17}, "the weight is small"),
        ("(float[N,4] x, float[4] b) => (float[N,4] y) { y = Gemm(x, w, b) }", {}, "the bias is not one constant a channel"),
        ("(float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }", {"pattern": "2:8"}, "fewer input channels than a group of the pattern"),
        ("(float[N,4] x) => (float[N,4] y) { y = MatMul(x, w) }", {"pattern": "1:3"}, "its input channels are no multiple of 3"),
    ],
)  # fmt: skip
def test_what_is_left_alone(text, options, reason):
    changed = model(text, w=np.arange(1, 17, dtype=np.float32).reshape(4, 4))
    before = model_io.to_bytes(changed)
    context = apply_pass(changed, Sparsify(criterion="magnitude", repair="none", **options))
    assert {skip.reason for skip in context.skips} == {reason}
    assert not context.rewrites
    assert len(model_io.to_bytes(changed)) >= len(before)


def test_more_that_is_left_alone(monkeypatch):
    reasons = []
    for name in ("transposed", "depthwise"):
        context = apply_pass(layer_model(name), Sparsify(criterion="magnitude", repair="none"))
        reasons += [skip.reason for skip in context.skips]
    grid = layer_model("conv")
    samples = correlated_samples(grid)
    apply_pass(grid, AdaRound(iterations=5), calibration=samples)
    reasons += [each.reason for each in apply_pass(grid, Sparsify(), calibration=samples).skips]
    monkeypatch.setattr("lprc.passes.sparsify.LARGEST", 35)
    context = apply_pass(layer_model("conv"), Sparsify(), calibration=samples)
    reasons += [skip.reason for skip in context.skips]
    assert reasons == [
        "no sparse kernels for ConvTranspose",
        "a depthwise Conv has one input channel a group",
        "the weight is on a grid already",
        "its rows are too long for a second moment (more than 35)",
    ]


def test_a_model_that_has_the_pattern_keeps_it():
    samples = correlated_samples(layer_model("conv"))
    changed = sparse("conv", samples)
    before = model_io.to_bytes(changed)
    context = apply_pass(changed, Sparsify())
    assert [skip.reason for skip in context.skips] == ["it has the pattern already"]
    assert model_io.to_bytes(changed) == before


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("pattern", ["2:4", "unstructured"])
def test_long_rows_take_the_one_pass(criterion, pattern, monkeypatch):
    monkeypatch.setattr(_sparse_masks, "EXACT_STEPS", 1)
    source = layer_model("conv")
    samples = correlated_samples(source, 20)
    changed = sparse("conv", samples, criterion=criterion, pattern=pattern)
    (found,) = weights(changed)
    assert found.density == pytest.approx(0.5)
    assert pattern != "2:4" or found.has_pattern(2, 4)
    plain = sparse("conv", criterion="magnitude", pattern=pattern, repair="none")
    assert output_error(source, changed, samples) < output_error(source, plain, samples)


def test_the_same_bytes_each_time():
    samples = correlated_samples(two())
    results = set()
    for _ in range(2):
        changed = two()
        apply_pass(changed, Sparsify(distill=3), calibration=samples)
        results.add(model_io.to_bytes(changed))
    assert len(results) == 1


def test_the_limit_of_rewrites():
    changed = two()
    context = apply_pass(changed, Sparsify(), calibration=correlated_samples(changed), limit=1)
    assert [each.node for each in context.rewrites] == ["first"]
    first, second = weights(changed)
    assert first.has_pattern(2, 4)
    assert second.density == 1


def test_positions_are_few_and_even():
    source = layer_model("conv")
    layer = unfolded(next(iter(source.graph)))
    found = positions.Positions(layer, budget=2000)
    samples = correlated_samples(source, 40)
    for sample in samples:
        found.add(sample["x"], run(source, sample)["y"])
    assert 10 <= found.seen.shape[1] <= 2000 // (36 + 6)
    everything = positions.Positions(layer)
    for sample in samples:
        everything.add(sample["x"], run(source, sample)["y"])
    assert everything.seen.shape[1] == 40 * 2 * 4 * 5
    columns = {row.tobytes() for row in everything.seen[0]}
    assert {row.tobytes() for row in found.seen[0]} < columns
    np.testing.assert_allclose(
        found.wanted[0], layer.rows(layer.array)[0] @ found.seen[0].T, rtol=1e-4, atol=1e-4
    )


def test_errors():
    with pytest.raises(DataError, match="calibration data are needed"):
        apply_pass(layer_model("conv"), Sparsify())
    with pytest.raises(UsageError, match="no node is called 'nobody'"):
        apply_pass(layer_model("conv"), Sparsify(exclude=("nobody",)))
    for options in ({"pattern": ("4:2",)}, {"pattern": ("half",)}, {"damping": ("0.0",)},
                    {"pattern": ("unstructured",), "ratio": ("1.5",)}, {"rounds": ("0",)}):  # fmt: skip
        with pytest.raises(UsageError):
            from_texts(Sparsify, options, "sparsify")


def test_columns_of_a_group_are_neighbouring_channels_at_one_tap():
    layer = unfolded(next(iter(layer_model("conv").graph)))
    groups = _sparse_layers.groups_of(layer, 2)
    channels, taps = np.divmod(groups, 9)
    assert (np.diff(channels, axis=1) == 1).all()
    assert (channels[:, 0] % 2 == 0).all()
    assert (np.diff(taps, axis=1) == 0).all()
    assert np.array_equal(np.sort(groups.reshape(-1)), np.arange(36))


def test_permuted_channels_keep_more_and_compute_the_same():
    source, changed = two(), two()
    context = PassContext()
    layers = [unfolded(node) for node in changed.graph if node.op_type == "Conv"]
    permute(changed, layers, {layer.node: Pattern(2, 4) for layer in layers}, context)
    assert [each.note for each in context.rewrites] == ["input channels permuted"]
    assert [skip.reason for skip in context.skips] == []
    for x in correlated_samples(source, 2):
        np.testing.assert_allclose(run(changed, x)["y"], run(source, x)["y"], rtol=1e-4, atol=1e-4)
    kept = []
    for permuted in (False, True):
        changed = two()
        item = Sparsify(criterion="magnitude", repair="none", permute=permuted)
        apply_pass(changed, item)
        kept.append(sum(float(np.abs(weight.array).sum()) for weight in weights(changed)))
        assert all(weight.has_pattern(2, 4) for weight in weights(changed))
    assert kept[1] > kept[0]


def test_inputs_of_the_graph_stay_in_order():
    generator = np.random.default_rng(0)
    changed = model(
        "(float[N,8,5,5] x) => (float[a,b,c,d] y) { [conv] y = Conv(x, w) }",
        w=generator.standard_normal((4, 8, 1, 1)).astype(np.float32),
    )
    item = Sparsify(criterion="magnitude", repair="none", permute=True)
    context = apply_pass(changed, item)
    reasons = [skip.reason for skip in context.skips]
    assert reasons == ["its input channels stay in order: blocked by a graph input"]
    assert all(weight.has_pattern(2, 4) for weight in weights(changed))


@given(st.integers(0, 1000), st.sampled_from(["2:4", "1:4", "1:2"]))
@settings(max_examples=20, deadline=None)
def test_an_order_keeps_no_less(seed, text):
    pattern = Pattern.parse(text)
    magnitudes = np.random.default_rng(seed).exponential(size=(12, 5))
    order = best_order(magnitudes, pattern)
    assert np.array_equal(np.sort(order), np.arange(12))

    def kept(array):
        grouped = np.sort(array.reshape(-1, pattern.group, 5), axis=1)
        return grouped[:, -pattern.kept :].sum()

    assert kept(magnitudes[order]) >= kept(magnitudes) * (1 - 1e-9)


def test_channels_that_never_change_are_spread_over_the_groups():
    """Half of what `second` reads is constant, so 2:4 can cost nothing there."""

    def half_dead():
        generator = np.random.default_rng(0)
        first = generator.standard_normal((8, 4, 3, 3)).astype(np.float32)
        first[4:] = 0
        second = generator.standard_normal((6, 8, 3, 3)).astype(np.float32)
        # Large, so that magnitude alone would keep them.
        second[:, 4:] *= 10
        text = TWO.replace("Conv(x, v)", "Conv(x, v, b)")
        return model(text, v=first, w=second, b=np.arange(8, dtype=np.float32))

    source = half_dead()
    samples = correlated_samples(source, 12)
    errors = {}
    for permuted in (False, True):
        changed = half_dead()
        item = Sparsify(permute=permuted, exclude=("first",))
        apply_pass(changed, item, calibration=samples)
        assert list(weights(changed))[-1].has_pattern(2, 4)
        errors[permuted] = output_error(source, changed, samples)
    assert errors[True] < 1e-6 * errors[False]
