"""Pruned graphs equal the original with the same channels zeroed, and are as small as was asked."""

from __future__ import annotations

import functools
import time

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from applying import apply_pass
from zeroed_channels import assert_equal, zeroed

from lprc.core.errors import AccuracyError, DataError, UsageError
from lprc.core.graph import editing
from lprc.core.onnx_io import model_io
from lprc.core.options import from_texts
from lprc.core.passing.manager import PassManager
from lprc.core.passing.pipeline import Pipeline
from lprc.core.passing.reference import reference
from lprc.core.running.random_inputs import random_inputs
from lprc.passes import prune_channels
from lprc.passes._pruning.channel_groups import channel_groups
from lprc.passes._pruning.latency import RelativeLatency
from lprc.passes._pruning.removal_costs import multiply_accumulates, weight_bytes
from lprc.passes.prune_channels import PruneChannels

NETWORKS = [
    "cifar-resnet", "mobilenet-v2", "resnet-50", "shufflenet", "squeeze-excite", "u-net", "yolo",
]  # fmt: skip
PREPARE = """lift-constants,infer-shapes,fold-constants,infer-shapes,fold-constants,infer-shapes,
eliminate-identity"""


@functools.cache
def prepared(name: str) -> bytes:
    pytest.importorskip("torch")
    from prunable_networks import exported

    model = model_io.from_proto(onnx.load_from_string(exported(name)))
    PassManager(Pipeline.parse(PREPARE)).run(model)
    return model_io.to_bytes(model)


def network(name: str) -> ir.Model:
    return model_io.from_proto(onnx.load_from_string(prepared(name)))


def costs(model: ir.Model) -> tuple[int, int]:
    """MACs and bytes of weights, counted anew."""
    trace = channel_groups(model.graph).trace
    keep = np.ones(trace.count, bool)
    return multiply_accumulates(trace, keep), weight_bytes(model.graph, trace, keep)


def zeroed_reference(pruned: ir.Model) -> ir.Model:
    """The model before, with all groups zeroed that have an atom which is gone."""
    before = reference(pruned)
    assert before is not None
    groups = channel_groups(before.model.graph)
    kept = np.ones(groups.count, bool)
    for layer in groups.trace.layers:
        left = before.kept.get(layer.node.outputs[0].name)
        if left is not None and layer.outputs is not None:
            kept[np.delete(groups.unit[layer.outputs], left)] = False
    return zeroed(before.model, groups.trace, groups.atoms(kept))


def samples(model: ir.Model, count: int = 4) -> list[dict[str, np.ndarray]]:
    return [random_inputs(model, seed=seed, batch=1) for seed in range(count)]


def widths(model: ir.Model) -> dict[str, int]:
    """The output channels of each Conv, by the node's name."""
    found = {}
    for node in model.graph:
        if node.op_type == "Conv":
            weight = editing.constant(node.inputs[1])
            assert weight is not None
            found[str(node.name)] = weight.shape[0]
    return found


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scope", ["local", "global"])
def test_a_quarter_less_is_the_original_with_channels_zeroed(name, scope):
    model = network(name)
    signature = [(str(v.name), v.shape) for v in (*model.graph.inputs, *model.graph.outputs)]
    before = costs(model)
    context = apply_pass(model, PruneChannels(ratio=0.25, scope=scope))
    assert context.rewrites
    after = costs(model)
    assert after[1] < (0.95 if name == "shufflenet" else 0.75) * before[1]
    # The groups that a shuffle and 3 groups leave together are few, and of very different cost.
    assert after[0] < (0.95 if name == "shufflenet" else 0.75) * before[0]
    assert len(model_io.to_bytes(model)) - after[1] < 1.05 * (len(prepared(name)) - before[1])
    assert signature == [
        (str(v.name), v.shape) for v in (*model.graph.inputs, *model.graph.outputs)
    ]
    assert_equal(model, zeroed_reference(model), random_inputs(model, seed=1, batch=2))


@pytest.mark.parametrize(
    "importance", ["l1", "l2", "geometric-median", "activation", "taylor", "hessian"]
)
@pytest.mark.parametrize("name", ["u-net", "squeeze-excite"])
def test_each_importance_is_legal_and_repeats_itself(name, importance):
    texts = []
    for _ in range(2):
        model = network(name)
        item = PruneChannels(ratio=0.25, importance=importance)
        apply_pass(model, item, calibration=samples(model))
        assert_equal(model, zeroed_reference(model), random_inputs(model, seed=1, batch=2))
        texts.append(model_io.to_bytes(model))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("target", [0.7, 0.4])
@pytest.mark.parametrize("scope", ["local", "global"])
def test_targets_are_met_and_hardly_undercut(target, scope):
    for index, option in enumerate(("target_macs", "target_size")):
        model = network("mobilenet-v2")
        before = costs(model)[index]
        apply_pass(model, PruneChannels(**{option: target}, scope=scope))
        assert 0.95 * target * before < costs(model)[index] <= target * before
        assert_equal(model, zeroed_reference(model), random_inputs(model, seed=1, batch=2))


@pytest.mark.parametrize("multiple", [4, 8])
def test_what_stays_is_a_multiple(multiple):
    model = network("u-net")
    before = widths(model)
    apply_pass(model, PruneChannels(ratio=0.4, scope="local", round_to=multiple))
    after = widths(model)
    changed = {name for name in after if after[name] < before[name]}
    assert len(changed) > 5
    assert all(after[name] % multiple == 0 for name in changed)


def test_as_many_stay_as_must():
    model = network("cifar-resnet")
    apply_pass(model, PruneChannels(ratio=1.0, min_channels=5))
    assert min(widths(model).values()) == 5
    assert_equal(model, zeroed_reference(model), random_inputs(model, seed=1, batch=2))


def test_never_all_channels():
    for name in NETWORKS:
        if name != "resnet-50":
            model = network(name)
            apply_pass(model, PruneChannels(ratio=1.0, scope="local"))
            assert min(widths(model).values()) >= 1
            assert_equal(model, zeroed_reference(model), random_inputs(model, seed=1, batch=2))


CHAIN = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,1,2,2] x) => (float[N,1,2,2] y)
<float[4,1,1,1] w = {1, 4, 2, 3}, float[1,4,1,1] v = {8, 1, 1, 1}> {
    [first] c = Conv(x, w)
    [relu] r = Relu(c)
    [last] y = Conv(r, v)
}"""


def chain() -> ir.Model:
    return ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(CHAIN)))


def kept_weights(item: PruneChannels, calibration=()) -> list[float]:
    model = chain()
    apply_pass(model, item, calibration=calibration)
    (weight,) = (editing.constant(n.inputs[1]) for n in model.graph if n.name == "first")
    assert weight is not None
    return list(weight.reshape(-1))


def test_the_least_important_channels_go():
    ones = [{"x": np.full((1, 1, 2, 2), value, np.float32)} for value in (1.0, 2.0)]
    assert kept_weights(PruneChannels(ratio=0.5, importance="l1")) == [4, 3]
    assert kept_weights(PruneChannels(ratio=0.5, importance="l2")) == [4, 3]
    # In the middle is what the others could stand for.
    assert kept_weights(PruneChannels(ratio=0.5, importance="geometric-median")) == [1, 4]
    # What is read with weights 8, 1, 1, 1 is 8, 4, 2, 3.
    for importance in ("activation", "taylor"):
        item = PruneChannels(ratio=0.5, importance=importance)
        assert kept_weights(item, ones) == [1, 4]


NORMALISED = """<ir_version: 9, opset_import: ["" : 20]>
g (float[N,1,2,2] x) => (float[N,1,2,2] y)
<float[4,1,1,1] w = {1, 4, 2, 3}, float[4,4,1,1] u = {1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1},
 float[1,4,1,1] v = {8, 1, 1, 1}, float[4] scale = {0.5, -0.1, 2, 0.3}, float[4] b = {0,0,0,0},
 float[4] mean = {0,0,0,0}, float[4] var = {1,1,1,1}> {
    [first] c = Conv(x, w)
    [norm] n = BatchNormalization(c, scale, b, mean, var)
    [middle] m = Conv(n, u)
    [last] y = Conv(m, v)
}"""


def normalised() -> ir.Model:
    return ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(NORMALISED)))


def test_scales_of_batch_normalisation_judge_channels_as_they_are():
    model = normalised()
    context = apply_pass(model, PruneChannels(ratio=0.5, importance="bn"))
    scale = next(n for n in model.graph if n.op_type == "BatchNormalization").inputs[1]
    assert list(editing.constant(scale)) == [np.float32(0.5), 2]
    assert [(skip.node, skip.reason) for skip in context.skips] == [
        ("last", "blocked by a graph output"),
        ("middle", "no BatchNormalization to judge its channels by"),
    ]
    assert widths(model)["middle"] == 4
    assert_equal(model, zeroed_reference(model), random_inputs(model, seed=1, batch=2))


def test_folded_batch_normalisation_is_an_error_that_says_so():
    model = chain()
    with pytest.raises(UsageError, match=r"importance=bn.*no BatchNormalization is left") as found:
        apply_pass(model, PruneChannels(importance="bn"))
    assert "fold-bn" in str(found.value.hint)
    assert costs(model) == costs(chain())


def test_a_target_where_nothing_may_go_is_an_error():
    model = model_io.from_proto(
        onnx.parser.parse_model(
            '<ir_version: 9, opset_import: ["" : 20]> g (float[1,1,2,2] x) => (float[1,2,2,2] y) '
            "<float[2,1,1,1] w = {1,2}> { y = Conv(x, w) }"
        )
    )
    with pytest.raises(AccuracyError, match=r"1\.000 is left when all that may go is gone"):
        apply_pass(model, PruneChannels(target_macs=0.5))
    apply_pass(model, PruneChannels(ratio=0.5))


@pytest.mark.parametrize("option", ["target_macs", "target_size", "target_latency"])
def test_what_can_not_be_reached_is_an_error_and_changes_nothing(option, monkeypatch):
    monkeypatch.setattr(prune_channels, "RelativeLatency", lambda *_: lambda kept: kept.mean())
    model = network("u-net")
    before = model_io.to_bytes(model)
    item = PruneChannels(**{option: 0.001})
    with pytest.raises(AccuracyError, match=rf"{option.replace('_', '-')}=0.001.*is left when all"):
        apply_pass(model, item)
    assert model_io.to_bytes(model) == before


def test_latency_is_bisected_by_measuring(monkeypatch):
    asked = []

    def latency(model, exclude, inputs):
        assert inputs["x"].shape == (1, 1, 2, 2)
        return lambda kept: asked.append(int(kept.sum())) or 0.2 + 0.8 * float(kept.mean())

    monkeypatch.setattr(prune_channels, "RelativeLatency", latency)
    # Of the four channels and the input's and output's one each, as many go as the model asks for.
    assert kept_weights(PruneChannels(target_latency=0.8, importance="l1")) == [4, 3]
    assert len(asked) <= 6


def test_latency_is_measured_in_turn_and_once():
    model = network("u-net")
    inputs = random_inputs(model, seed=0, batch=1)
    before = model_io.to_bytes(model)
    ratio = RelativeLatency(model, (), inputs)
    groups = channel_groups(model.graph)
    kept = np.ones(groups.count, bool)
    assert ratio(kept) == 1.0
    for each in groups.classes:
        kept[each.units[: len(each.units) * 7 // 8]] = False
    found = ratio(kept)
    assert 0 < found < 0.9
    assert ratio(kept) == found
    assert model_io.to_bytes(model) == before


def test_a_goal_for_the_latency_makes_it_faster():
    model = network("u-net")
    apply_pass(model, PruneChannels(target_latency=0.7))
    assert costs(model)[0] < costs(network("u-net"))[0]
    assert_equal(model, zeroed_reference(model), random_inputs(model, seed=1, batch=2))


def test_bisection_stops_between_layers():
    model = network("u-net")
    context = apply_pass(model, PruneChannels(ratio=0.25), limit=3)
    assert len(context.rewrites) == 3
    assert_equal(model, zeroed_reference(model), random_inputs(model, seed=1, batch=2))


def test_nothing_is_touched_where_nothing_can_go():
    model = chain()
    before = model_io.to_bytes(model)
    context = apply_pass(model, PruneChannels(ratio=0.5, exclude=("first",)))
    assert not context.rewrites
    assert [(skip.node, skip.reason) for skip in context.skips] == [
        ("first", "excluded by option"), ("last", "blocked by a graph output"),
    ]  # fmt: skip
    apply_pass(model, PruneChannels(ratio=0.0))
    assert reference(model) is None
    for item in before, model_io.to_bytes(chain()):
        assert item == before


def test_a_goal_for_thousands_of_layers_takes_seconds():
    from test_channel_groups import graph

    layers = "".join(f"v{i + 1} = Conv(v{i}, w{i + 1}) " for i in range(3000))
    weights = "".join(f", float[8,8,1,1] w{i + 1}" for i in range(3001))
    body = f"v0 = Conv(x, w0) {layers} y = Conv(v3000, w3001)"
    model = graph(f"<float[8,2,1,1] w0{weights}> {{ {body} }}")
    started = time.perf_counter()
    apply_pass(model, PruneChannels(target_macs=0.7))
    assert time.perf_counter() - started < 30


def test_unknown_names_are_errors():
    with pytest.raises(UsageError, match="frist"):
        apply_pass(chain(), PruneChannels(exclude=("frist",)))


def test_activations_need_samples():
    with pytest.raises(DataError, match="calibration data"):
        apply_pass(chain(), PruneChannels(importance="taylor"))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"ratio": ("0.5",), "target-macs": ("0.5",)}, "only one of ratio and target-macs"),
        ({"target-size": ("1.5",)}, "from 0 to 1"),
        ({"target-latency": ("0.5",), "target-macs": ("0.5",)}, "target-macs and target-latency"),
        ({"target-latency": ("-1",)}, "from 0 to 1"),
        ({"runtime": ("tvm",)}, "not of type"),
        ({"min-channels": ("0",)}, "at least 1"),
        ({"round-to": ("3",)}, "not of type"),
    ],
)
def test_options_are_checked(options, match):
    with pytest.raises(UsageError, match=match):
        from_texts(PruneChannels, options, "prune-channels")
