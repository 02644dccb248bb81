"""Other methods' ranges are taken where samples that chose nothing confirm a gain."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.graph.annotations import Range, range_of
from lprc.core.running.observe import observe
from lprc.passes._calibration import rival_ranges as module
from lprc.passes._calibration.histogram import ActivationStatistics
from lprc.passes._calibration.rival_ranges import RIVALS, rival_ranges
from lprc.passes.calibrate import Calibrate
from lprc.plugin import PassContext

TEXT = """<ir_version: 9, opset_import: ["" : 18]>
g (float[1,8] x) => (float[1,4] y) <float[1,8] h, float[1,8] r> {
  [h] h = MatMul(x, a) [r] r = Relu(h) [y] y = MatMul(r, b)
}"""


@pytest.fixture
def graph() -> ir.Model:
    proto, generator = onnx.parser.parse_model(TEXT), np.random.default_rng(0)
    for name, shape in {"a": (8, 8), "b": (8, 4)}.items():
        array = generator.standard_normal(shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return ir.from_proto(proto)


def samples(count=40):
    generator = np.random.default_rng(1)
    return [{"x": generator.standard_normal((1, 8)).astype(np.float32)} for _ in range(count)]


def compared(graph, own, given):
    values = [graph.graph.inputs[0], graph.graph.node("r").outputs[0]]
    statistics = {value.name: ActivationStatistics() for value in values}
    for arrays in observe(graph, values, given):
        for name, array in arrays.items():
            statistics[name].update(array)
    ranges = {value.name: own for value in values}
    trials = []
    choice = rival_ranges(
        graph, values, statistics, given, ranges, "symmetric", lambda *step: trials.append(step)
    )
    return choice, trials


def test_ranges_that_are_far_too_wide_are_replaced(graph):
    choice, _ = compared(graph, Range(-100.0, 100.0), samples())
    assert choice.gain > 20
    assert all(found.magnitude < 20 for found in choice.ranges.values())


def test_a_large_network_has_no_activation_looked_at_by_itself(graph, monkeypatch):
    monkeypatch.setattr(module, "EFFORT", 1.0)
    _, trials = compared(graph, Range(-100.0, 100.0), samples())
    # Its own ranges, and each method's for all; a small network has more.
    assert len(trials) <= len(RIVALS) + 1
    monkeypatch.undo()
    assert len(compared(graph, Range(-100.0, 100.0), samples())[1]) > len(trials)


def test_the_effort_ends_the_search(graph, monkeypatch):
    runs = 8 * 16 * module.PER_RUN
    monkeypatch.setattr(module, "EFFORT", runs)
    assert len(compared(graph, Range(-100.0, 100.0), samples())[1]) <= 8 * 16 // 5


def recorded(graph, given, **options):
    graph = graph.clone()
    context = PassContext(calibration=given)
    Calibrate(**options).run(graph, context)
    ranges = {value.name: range_of(value) for node in graph.graph for value in node.outputs}
    return ranges, context


def test_what_gains_too_little_changes_nothing_and_says_so(graph):
    before, _ = recorded(graph, samples(), method="mse")
    after, context = recorded(graph, samples(), method="mse", rivals=60.0)
    assert after == before
    assert [skip.reason for skip in context.skips] == [
        "no other method gains enough at the outputs"
    ]


def test_what_gains_enough_is_recorded_with_its_gain(graph):
    given = samples(400)
    # An outlier that is not among the samples which choose or confirm.
    given[5]["x"] = given[5]["x"] * np.float32(30)
    before, _ = recorded(graph, given, method="min-max")
    after, context = recorded(graph, given, method="min-max", rivals=6.0)
    assert after["r"] != before["r"]
    assert "dB at the outputs" in context.rewrites[-1].note


def test_rivals_and_task_exclude_each_other():
    with pytest.raises(ValueError, match="rivals is for one method"):
        Calibrate(method="task", rivals=1.0)
    with pytest.raises(ValueError, match="must not be negative"):
        Calibrate(rivals=-1.0)
