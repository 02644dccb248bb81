"""The accuracy-aware search leaves the fewest layers in float, and looks at the data seldom."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

from lprc.compiler.measure.fidelity import AgreementJudge
from lprc.compiler.measure.sensitivity import Quantizable, rank, search
from lprc.core.errors import AccuracyError, UsageError
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.agreement import agreement
from lprc.core.running.numerics import Session
from lprc.core.running.observe import spread
from lprc.core.running.signal_to_noise import SignalToNoise

LAYERS = 8
PIPELINE = "infer-shapes,calibrate{method=min-max},insert-qdq"


def chain(hard: tuple[int, ...]) -> ir.Model:
    """1x1 Convs in a row; the input of each `hard` one has a channel a thousand times as large.

    One scale for such a tensor leaves its other channels almost nothing.
    """
    lines = []
    for index in range(LAYERS):
        lines.append(f"[conv{index}] y{index} = Conv(x{index}, w{index})")
        lines.append(f"x{index + 1} = Relu(y{index})")
    weights = "\n".join(
        f"float[4,4,1,1] w{index} = {{{_weight(index, hard)}}}," for index in range(LAYERS)
    )
    text = f"""<ir_version: 9, opset_import: ["" : 18]>
g (float[1,4,3,3] x0) => (float[1,4,3,3] x{LAYERS}) <{weights.rstrip(",")}> {{
{chr(10).join(lines)}
}}"""
    return ir.from_onnx_text(text)


def _weight(index: int, hard: tuple[int, ...]) -> str:
    """Mixes channels a little; blows up channel 0 before a hard layer and undoes it there."""
    matrix = np.full((4, 4), 0.05) + np.eye(4)
    if index + 1 in hard:
        matrix[0] *= 3000
    if index in hard:
        matrix[:, 0] /= 3000
    return ",".join(f"{number:.6g}" for number in matrix.reshape(-1))


@pytest.fixture
def samples():
    generator = np.random.default_rng(0)
    return [{"x0": generator.random((1, 4, 3, 3), np.float32)} for _ in range(16)]


def graph(samples, hard=(3, 6)) -> Quantizable:
    return Quantizable(chain(hard), Pipeline.parse(PIPELINE), samples)


def test_the_hard_layers_are_ranked_first(samples):
    found = rank(graph(samples), samples)
    assert {layer.node for layer in found[:2]} == {"conv3", "conv6"}
    assert len(found) == LAYERS
    assert found[0].snr_db < found[-1].snr_db - 10
    assert all(layer.op_type == "Conv" and layer.origins == (layer.node,) for layer in found)


class Closeness:
    """1 / (1 + relative error), so that every layer in float helps a little."""

    what = "closeness"

    def __init__(self, reference, samples):
        self.samples = samples
        self.expected = [reference.run(sample) for sample in samples]
        self.looks = 0

    def score(self, session):
        self.looks += 1
        ratio = SignalToNoise()
        for sample, expected in zip(self.samples, self.expected, strict=True):
            ratio.add(expected, session.run(sample))
        return 1 / (1 + 10 ** (-ratio.decibels / 20))


def test_only_the_hard_layers_stay_in_float(samples):
    quantizable = graph(samples)
    judge = Closeness(quantizable.reference, samples)
    assert judge.score(quantizable.session(())) < 0.9
    judge.looks = 0
    found = search(quantizable, judge, samples, 0.05)
    assert set(found.excluded) == {"conv3", "conv6"}
    assert found.score >= found.wanted
    assert found.reference == 1.0
    # The reference, none, all, log2(8) bisections, and one more try for each but the last.
    assert judge.looks <= 3 + int(math.log2(LAYERS)) + len(found.excluded)
    text = str(quantizable.pipeline(found.excluded))
    assert "insert-qdq{exclude=conv" in text
    assert Pipeline.parse(text) == quantizable.pipeline(found.excluded)


def test_nothing_is_ranked_where_all_layers_may_be_quantised(samples):
    quantizable = graph(samples, hard=())
    found = search(quantizable, Closeness(quantizable.reference, samples), samples, 0.2)
    assert found.excluded == ()
    assert found.layers == ()
    assert len(found.trials) == 1


class Never:
    what = "a score that quantisation always loses"

    def __init__(self, reference):
        self.reference = reference

    def score(self, session):
        return 1.0 if session is self.reference else 0.0


def test_an_accuracy_out_of_reach_is_an_error(samples):
    quantizable = graph(samples)
    with pytest.raises(AccuracyError, match="with every layer in float") as caught:
        search(quantizable, Never(quantizable.reference), samples, 0.01)
    assert caught.value.exit_code == 6


def test_a_pipeline_that_does_not_quantise_is_an_error(samples):
    with pytest.raises(UsageError, match="no pass of the pipeline inserts Q/DQ"):
        Quantizable(chain(()), Pipeline.parse("infer-shapes"), samples)


def test_a_variant_leaves_the_graph_alone(samples):
    quantizable = graph(samples)
    before = [layer.name for layer in quantizable.layers()]
    quantizable.session(["conv1"])
    assert [layer.name for layer in quantizable.layers()] == before


@pytest.mark.parametrize(
    ("expected", "output", "score"),
    [
        ([[[1, 0], [0, 1]]], [[[2, 0], [1, 3]]], 1.0),  # classes on axis 1
        ([[[1, 0], [0, 1]]], [[[0, 0], [1, 3]]], 0.5),
        ([1.0, 0.0], [2.0, 0.0], 1.0),  # no class axis: cosine
        ([1.0, 0.0], [0.0, 2.0], 0.0),
        ([0.0, 0.0], [0.0, 0.0], 1.0),
        ([1.0, 0.0], [-1.0, 0.0], 0.0),
    ],
)
def test_agreement(expected, output, score):
    found = agreement(np.array(expected, np.float32), np.array(output, np.float32))
    assert found == pytest.approx(score)


def test_agreement_is_the_same_when_outputs_are_not_remembered(samples, monkeypatch):
    from lprc.compiler.measure import fidelity

    quantizable = graph(samples)
    session = quantizable.session(())
    remembered = AgreementJudge(quantizable.reference, samples).score(session)
    monkeypatch.setattr(fidelity, "REMEMBERED", 0)
    judge = AgreementJudge(quantizable.reference, samples)
    assert judge.score(session) == judge.score(session) == remembered < 1.0
    assert len(judge._known) == 0


def test_signal_to_noise():
    ratio = SignalToNoise()
    ratio.add({"y": np.array([3.0, 4.0])}, {"y": np.array([3.0, 4.5])})
    assert ratio.decibels == pytest.approx(20.0)
    assert SignalToNoise(1.0, 0.0).decibels == math.inf


@pytest.mark.parametrize(
    ("length", "count", "expected"), [(10, 3, 3), (2, 5, 2), (7, 0, 7), (7, 7, 7)]
)
def test_spread(length, count, expected):
    found = list(spread([{"i": np.array(index)} for index in range(length)], count))
    assert len(found) == expected
    assert int(found[0]["i"]) == 0


def test_sessions_run(samples):
    assert isinstance(graph(samples).session(()), Session)
