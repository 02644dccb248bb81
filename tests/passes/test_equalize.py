"""Cross-layer equalisation keeps the outputs and makes per-tensor quantisation better."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from applying import apply_pass
from fake_quantisation import fake_quantised, snr
from hypothesis import HealthCheck, assume, given, settings
from random_chains import chains

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.graph.annotations import Grid, Range, range_of, set_grid, set_range
from lprc.core.instruments.change_detection import ChangeDetection
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io.model_io import from_proto
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import RunError, random_inputs, run
from lprc.passes._scaling.linear_inputs import magnitudes
from lprc.passes.equalize import Equalize

BETWEEN = """
<ir_version: 9, opset_import: ["" : 20]>
g (float[N,2,4,4] x) => (float[N,1,P,Q] y)
<float[4,2,1,1] w = {64,-9,3,4,0.5,0.25,1,-2}, float[1,C,1,1] v = {V}, CONSTANTS> {
    [one] a = Conv(x, w)
    BETWEEN
    [two] y = Conv(z, v)
}
"""


def between(line: str, *, channels: int = 4, constants: str = "float unused = {1}") -> str:
    numbers = ",".join(str(number) for number in range(1, channels + 1))
    return (
        BETWEEN.replace("CONSTANTS", constants)
        .replace("BETWEEN", line)
        .replace("[1,C,1,1]", f"[1,{channels},1,1]")
        .replace("{V}", "{" + numbers + "}")
    )


ONE_BY_ONE = "int64[8] p = {0,0,1,1,0,0,1,1}"

HOMOGENEOUS = {
    "Relu": ("z = Relu(a)", {}),
    "LeakyRelu": ("z = LeakyRelu<alpha=0.3>(a)", {}),
    "PRelu": ("z = PRelu(a, s)", {"constants": "float[4,1,1] s = {-1,2,0.5,0}"}),
    "Abs": ("z = Abs(a)", {}),
    "Neg": ("z = Neg(a)", {}),
    "Dropout": ("z = Dropout(a)", {}),
    "MaxPool": ("z = MaxPool<kernel_shape=[2,2], pads=[1,1,0,0]>(a)", {}),
    "AveragePool": ("z = AveragePool<kernel_shape=[2,2], pads=[1,1,0,0]>(a)", {}),
    "GlobalAveragePool": ("z = GlobalAveragePool(a)", {}),
    "GlobalMaxPool": ("z = GlobalMaxPool(a)", {}),
    "ReduceMean": ("z = ReduceMean(a, i)", {"constants": "int64[2] i = {2,-1}"}),
    "Pad": ("z = Pad(a, p)", {"constants": ONE_BY_ONE}),
    "Pad by reflection": ('z = Pad<mode="reflect">(a, p)', {"constants": ONE_BY_ONE}),
    "Resize": (
        'z = Resize<mode="linear">(a, , f)',
        {"constants": "float[4] f = {1,1,2,2}"},
    ),
    "Squeeze and Unsqueeze": (
        "b = GlobalMaxPool(a) c = Squeeze(b, i) z = Unsqueeze(c, i)",
        {"constants": "int64[2] i = {2,3}"},
    ),
    "Reduce and Unsqueeze": (
        "b = ReduceMax<keepdims=0>(a, i) z = Unsqueeze(b, i)",
        {"constants": "int64[2] i = {2,3}"},
    ),
    "Transpose there and back": (
        "b = Transpose<perm=[1,0,3,2]>(a) c = Relu(b) z = Transpose<perm=[1,0,3,2]>(c)",
        {},
    ),
    "Slice of space": (
        "z = Slice(a, s, e, i)",
        {"constants": "int64[1] s = {1}, int64[1] e = {3}, int64[1] i = {2}"},
    ),
    "Add and Sub": (
        "b = Add(a, k) z = Sub(t, b)",
        {"constants": "float k = {3}, float[4,1,1] t = {1,2,3,4}"},
    ),
    "Reshape": (
        "z = Reshape(a, s)",
        {"constants": "int64[4] s = {0,16,2,2}", "channels": 16},
    ),
}


@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_what_may_stand_between(rewrite, name):
    line, options = HOMOGENEOUS[name]
    result = rewrite(between(line, **options), Equalize())
    assert [made.node for made in result.context.rewrites] == ["one"]
    assert result.reasons == []


BLOCKED = {
    "Sigmoid is not homogeneous": ("z = Sigmoid(a)", {}),
    "Clip is not homogeneous": ("z = Clip(a)", {}),
    "Dropout is training": (
        "z = Dropout(a, r, t)",
        {"constants": "float r = {0}, bool t = {1}"},
    ),
    "Pad by other than zero": (
        "z = Pad(a, p, k)",
        {"constants": ONE_BY_ONE + ", float k = {1}"},
    ),
    "Pad of the channels": (
        "z = Pad(a, p)",
        {"constants": "int64[8] p = {0,1,0,0,0,1,0,0}", "channels": 6},
    ),
    "Resize of the channels, or shapes are unknown": (
        "z = Resize(a, , f)",
        {"constants": "float[4] f = {1,2,1,1}", "channels": 8},
    ),
    "Resize may fill in a constant": (
        'z = Resize<coordinate_transformation_mode="tf_crop_and_resize", mode="linear">(a, r, f)',
        {"constants": "float[8] r = {0,0,0,0,1,1,1,1}, float[4] f = {1,1,2,2}"},
    ),
    "Transpose moves them": ("z = Transpose<perm=[0,2,1,3]>(a)", {}),
    "Reshape takes channels apart": (
        "z = Reshape(a, s)",
        {"constants": "int64[4] s = {0,2,8,4}", "channels": 2},
    ),
    "ReduceMean reduces the channels": (
        "z = ReduceMean(a, i)",
        {"constants": "int64[1] i = {1}", "channels": 1},
    ),
    "MaxPool has another output in use": (
        "z, i = MaxPool<kernel_shape=[1,1]>(a) j = Cast<to=1>(i) k = ReduceSum(j)",
        {},
    ),
    "Concat on another axis": ("z = Concat<axis=2>(a, x)", {}),
    "Mul is no linear operator": ("z = Mul(a, k)", {"constants": "float k = {2}"}),
    "Mul without a constant factor": ("b = Sigmoid(x) z = Mul(a, b)", {}),
    "the output of Conv has other users": ("b = Abs(a) z = Add(a, b)", {}),
    "BatchNormalization is no linear operator": (
        "z = BatchNormalization(a, s, s, s, s)",
        {"constants": "float[4] s = {1,2,3,4}"},
    ),
}
MENDED = {
    "Transpose moves them": "Conv before it: channels do not match",
    "the output of Conv has other users": "Add of two activations",
}
BLOCKED_CHANNELS_OF_X = ("Concat on another axis", "Mul without a constant factor")


@pytest.mark.parametrize("reason", BLOCKED)
def test_what_may_not(rewrite, reason):
    line, options = BLOCKED[reason]
    text = between(line, **options)
    if reason in BLOCKED_CHANNELS_OF_X:
        # The other operand is the graph's input, which needs as many channels as the Conv makes.
        text = text.replace("float[N,2,4,4] x", "float[N,4,4,4] x").replace(
            "float[4,2,1,1] w = {64,-9,3,4,0.5,0.25,1,-2}",
            "float[4,4,1,1] w = {64,9,3,4,5,2,1,2,6,5,4,3,2,1,0.5,0.1}",
        )
    result = rewrite(text, Equalize())
    assert result.context.rewrites == []
    assert MENDED.get(reason, reason) in result.reasons


PAIR = """
<ir_version: 9, opset_import: ["" : 20]>
g (float[N,1,2,2] x) => (float[N,1,2,2] y)
<float[2,1,1,1] w = {16,4}, float[1,2,1,1] v = {1,1}> {
    [one] a = Conv(x, w)
    [relu] r = Relu(a)
    [two] y = Conv(r, v)
}
"""


def value_of(model: ir.Model, name: str) -> ir.Value:
    return next(value for node in model.graph for value in node.outputs if value.name == name)


def test_infinite_weights_stay(rewrite):
    result = rewrite(PAIR.replace("{16,4}", "{inf,4}"), Equalize(), runs=False)
    assert result.reasons == ["Conv before it: weights are not finite"]


def test_overflow_is_refused(rewrite):
    """A channel that grows by 1.8 takes a bias of 3e38 out of float32's range."""
    text = PAIR.replace("float[N,1,2,2] x", "float[N,4,2,2] x").replace(
        "float[2,1,1,1] w = {16,4}",
        "float[2,4,1,1] w = {1e38,1e38,1e38,1e38,1,1,1,1}, float[2] b = {3e38,1}",
    )
    text = text.replace("Conv(x, w)", "Conv(x, w, b)").replace("{1,1}", "{3.4e38,1}")
    result = rewrite(text, Equalize(), runs=False)
    assert result.reasons == ["the new weights would overflow"]


def test_half_precision_stays(rewrite):
    result = rewrite(PAIR.replace("float[", "float16["), Equalize())
    assert result.reasons == ["the weight is neither float32 nor float64"]


def test_batched_matmul_stays(rewrite):
    result = rewrite(
        """
        <ir_version: 9, opset_import: ["" : 20]>
        g (float[2,1,2] x) => (float[2,1,1] y)
        <float[2,2] w = {16,4,1,1}, float[2,2,1] v = {1,1,2,2}> {
            [one] a = MatMul(x, w)
            [two] y = MatMul(a, v)
        }
        """,
        Equalize(),
    )
    assert result.reasons == ["the weight is not a matrix"]


def test_weights_on_a_grid_stay():
    model = ir.from_onnx_text(PAIR)
    set_grid(model.graph.initializers["v"], Grid(8, 0, 0, np.ones(1, np.float32)))
    context = apply_pass(model, Equalize())
    assert [skip.reason for skip in context.skips] == ["the weight is rounded to a grid already"]
    assert not context.rewrites


def test_ranges_on_scaled_values_are_dropped():
    model = ir.from_onnx_text(PAIR)
    (x,), a, r, y = model.graph.inputs, *(value_of(model, name) for name in "ary")
    for value in (x, a, r, y):
        set_range(value, Range(-1, 1))
    context = apply_pass(model, Equalize())
    assert [range_of(value) is None for value in (x, a, r, y)] == [False, True, True, False]
    (made,) = context.rewrites
    assert made.note == "channels divided by 2 to 4, undone by two; recorded ranges dropped: 2"


def test_bisection_leaves_a_pair_whole():
    text = PAIR.replace(
        "[two] y = Conv(r, v)", "[two] b = Conv(r, v) c = Relu(b) [three] y = Conv(c, u)"
    )
    text = text.replace("v = {1,1}", "v = {1,1}, float[1,1,1,1] u = {81}")
    before = ir.from_onnx_text(text)
    inputs = random_inputs(before, seed=1)
    expected = run(before, inputs)["y"]
    for limit, count in ((0, 0), (1, 1), (2, 2)):
        model = ir.from_onnx_text(text)
        context = apply_pass(model, Equalize(), limit=limit)
        assert len(context.rewrites) == count
        np.testing.assert_allclose(run(model, inputs)["y"], expected, rtol=1e-5)


def test_a_second_run_changes_nothing():
    model = ir.from_onnx_text(PAIR)
    apply_pass(model, Equalize())
    context = apply_pass(model, Equalize())
    assert not context.rewrites
    assert [skip.reason for skip in context.skips] == ["its channels are equal already"]


def test_ranges_of_weights_are_equal_afterwards():
    model = ir.from_onnx_text(between("z = Relu(a)"))
    apply_pass(model, Equalize())
    one, two = (node for node in model.graph if node.op_type == "Conv")
    np.testing.assert_allclose(
        magnitudes(one).max(axis=2).reshape(-1), magnitudes(two).max(axis=1).reshape(-1), rtol=1e-6
    )


@pytest.mark.parametrize("iterations", [0, 1001])
def test_iterations_are_bounded(iterations):
    with pytest.raises(UsageError, match="iterations must be 1 to 1000"):
        Pipeline.parse(f"equalize{{iterations={iterations}}}")


def test_in_a_subgraph(rewrite):
    result = rewrite(
        """
        <ir_version: 9, opset_import: ["" : 20]>
        g (bool c, float[N,1,2,2] x) => (float[N,1,2,2] y)
        <float[2,1,1,1] w = {16,4}, float[1,2,1,1] v = {1,1}> {
            [if] y = If (c) <
                then_branch = t () => (float[N,1,2,2] p) {
                    [one] a = Conv(x, w) [two] p = Conv(a, v)
                },
                else_branch = e () => (float[N,1,2,2] q) { q = Identity(x) }
            >
        }
        """,
        Equalize(),
    )
    assert [made.node for made in result.context.rewrites] == ["one"]


LIMITS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
rewrites = []


@LIMITS
@given(chains())
def test_random_graphs_keep_their_outputs(proto):
    model = from_proto(proto)
    try:
        run(model, random_inputs(model))
    except RunError:
        assume(False)
    passes = "equalize{iterations=3}"
    (record,) = PassManager(Pipeline.parse(passes), [ChangeDetection(), Verify("each")]).run(model)
    rewrites.extend(record.rewrites)


def test_the_random_graphs_were_worth_it():
    if not rewrites:
        pytest.skip("another worker ran them")
    assert len(rewrites) >= 100


def depthwise_network(seed: int = 0) -> ir.Model:
    """MobileNet's blocks, with depthwise channels of very different sizes (as folded BN leaves)."""
    generator = np.random.default_rng(seed)
    lines, weights, value, channels, undone = [], {}, "x", 3, np.ones(3)
    for number, (out, depthwise) in enumerate(
        [(16, False), (16, True), (24, False), (24, True), (32, False), (32, True), (8, False)]
    ):
        inner = 1 if depthwise else channels
        side = 3 if depthwise else 1
        weight = generator.standard_normal((out, inner, side, side)) / np.sqrt(inner * side * side)
        spread = 10.0 ** generator.uniform(-1.5, 0.5, out) if number < 6 else np.ones(out)
        weights[f"w{number}"] = weight * spread.reshape(-1, 1, 1, 1)
        # The next operator makes up for it, as training would.
        if number:
            shape = (-1, 1, 1, 1) if depthwise else (1, -1, 1, 1)
            weights[f"w{number}"] /= undone.reshape(shape)
        undone = spread
        weights[f"b{number}"] = 0.1 * generator.standard_normal(out) * spread
        group, pad = (out, 1) if depthwise else (1, 0)
        lines.append(
            f"a{number} = Conv<group={group}, pads=[{pad},{pad},{pad},{pad}]>"
            f"({value}, w{number}, b{number})"
        )
        value, channels = f"a{number}", out
        if number < 6:
            lines.append(f"r{number} = Relu(a{number})")
            value = f"r{number}"
    inputs = "\n".join(lines).replace("a6 =", "y =")
    model = ir.from_onnx_text(
        f'<ir_version: 9, opset_import: ["" : 20]> g (float[N,3,8,8] x) => (float[N,8,8,8] y) {{ {inputs} }}'
    )
    for name, array in weights.items():
        value = editing.add_initializer(model.graph, name, array.astype(np.float32))
        for node in model.graph:
            for index, found in enumerate(node.inputs):
                if found is not None and found.name == name and found is not value:
                    node.replace_input_with(index, value)
    return model


@pytest.mark.parametrize("per_channel_weights", [False, True])
def test_a_depthwise_network_quantises_better(per_channel_weights):
    before, model = depthwise_network(), depthwise_network()
    context = apply_pass(model, Equalize())
    assert len(context.rewrites) == 6
    samples = [random_inputs(before, seed=seed, batch=1) for seed in range(16)]
    ratios = [
        snr(
            before,
            fake_quantised(each, samples, per_channel_weights=per_channel_weights),
            samples,
        )
        for each in (before, model)
    ]
    # 4 dB and 33 dB with one scale for each weight, 10 dB and 33 dB with one for each channel.
    assert ratios[1] > ratios[0] + 20


SHAPES_ARE_NEEDED = {
    "Transpose<perm=[0,1,2,3]>(a)": "shapes before Transpose are unknown",
    "Concat<axis=1>(a, b)": "shapes before Concat are unknown",
    "Slice(a, i, j)": "shapes or bounds of Slice are unknown",
    "Pad(a, p)": "pads or shapes of Pad are unknown",
    "ReduceMean(a, i)": "axes of ReduceMean are unknown",
    "MaxPool<kernel_shape=[1,1]>(a)": "MaxPool pools the channels, or shapes are unknown",
    "Resize(a, , f)": "Resize of the channels, or shapes are unknown",
    "Reshape(a, s)": "shapes around Reshape are unknown",
    "Add(a, f)": "shapes around Add are unknown or broadcast",
}


@pytest.mark.parametrize("operator", SHAPES_ARE_NEEDED)
def test_without_shapes_it_stays(operator):
    constants = (
        "int64[1] i = {2}, int64[1] j = {3}, int64[8] p = {0,0,0,0,0,0,0,0}, "
        "float[4] f = {1,1,1,1}, int64[4] s = {0,4,4,4}"
    )
    text = between(f"b = Relu(x) z = {operator}", constants=constants)
    model = ir.from_onnx_text(text)
    context = apply_pass(model, Equalize())
    assert [skip.reason for skip in context.skips] == [SHAPES_ARE_NEEDED[operator]]
    assert not context.rewrites


def test_a_mask_is_no_activation():
    model = ir.from_onnx_text(between("b, m = Dropout(a) z = Cast<to=1>(m)"))
    context = apply_pass(model, Equalize())
    assert [skip.reason for skip in context.skips] == ["Cast is not homogeneous"]


def test_elementwise_operators_need_no_shapes():
    model = ir.from_onnx_text(between("b = Relu(a) z = LeakyRelu(b)"))
    assert len(apply_pass(model, Equalize()).rewrites) == 1
