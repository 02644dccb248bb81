"""What rounding does to outputs is told from what a wrong rewrite does, however small its effect."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from lprc.core.running.noise import moved_beyond, noise
from lprc.core.running.numerics import Session, compare, rounding, run

UNEQUAL = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1, 2, 8, 8] x) => (float[1, 2, 8, 8] y)
<float[2, 1, 1, 1] w = {%g, 1000.0}, float[2] b = {%g, 0.0}>
{ y = Conv<group = 2>(x, w, b) }
"""
"""Two channels, the first of them nine orders of magnitude smaller."""

TINY = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1, 16] x) => (float[1, 16] y)
<float s = {%s}>
{ y = Mul(x, s) }
"""


def graph(text):
    return ir.from_proto(onnx.parser.parse_model(text))


def x(*shape):
    return {"x": np.random.default_rng(3).standard_normal(shape).astype(np.float32)}


def bad(before, after, inputs, tolerance=1e-4):
    return moved_beyond(
        run(before, inputs),
        run(after, inputs),
        tolerance,
        reference=lambda: Session(before),
        inputs=inputs,
        rounding=rounding(before),
    )


def test_a_small_channel_may_not_vanish_beside_a_large_one():
    before, after = graph(UNEQUAL % (1e-6, 0)), graph(UNEQUAL % (0, 0))
    inputs = x(1, 2, 8, 8)
    assert all(d.within(1e-4) for d in compare(run(before, inputs), run(after, inputs)))
    (delta,) = bad(before, after, inputs)
    assert delta.channel == pytest.approx(1, rel=1e-3)
    assert "one channel by 1 of its own" in str(delta)


def test_a_channel_of_nothing_may_not_come_to_life():
    (delta,) = bad(graph(UNEQUAL % (0, 0)), graph(UNEQUAL % (0, 1e-5)), x(1, 2, 8, 8))
    assert delta.channel == float("inf")


def test_a_sum_that_cancels_is_excused():
    text = """
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[1, 64] x) => (float[1, 1] y)
    <float[64, 1] w = {%s}>
    { y = MatMul(x, w) }
    """
    inputs = x(1, 64)
    rng = np.random.default_rng(0)
    weights = rng.standard_normal(64)
    values = inputs["x"][0].astype(np.float64)
    weights -= values * (weights @ values) / (values @ values)  # so that the sum is almost zero
    order = ", ".join(str(np.float32(weight)) for weight in weights)
    before = graph(text % order)
    outputs = run(before, inputs)
    moved = {"y": outputs["y"] + np.float32(3e-7)}
    assert abs(outputs["y"]) < 1e-5
    assert not moved_beyond(
        outputs,
        moved,
        1e-4,
        reference=lambda: Session(before),
        inputs=inputs,
        rounding=rounding(before),
    )


def test_outputs_that_are_almost_zero_everywhere_are_judged():
    inputs = x(1, 16)
    before, after = graph(TINY % "1e-8"), graph(TINY % "0.0")
    assert compare(run(before, inputs), run(after, inputs))[0].within(1e-4)
    assert bad(before, after, inputs)
    assert not bad(before, graph(TINY % "1.0000001e-8"), inputs)


def test_without_inputs_of_floats_no_noise_is_known():
    model = graph("""
    <ir_version: 8, opset_import: ["" : 17]>
    g (int64[4] i) => (float[4] y)
    <float[3] table = {1.0, 2.0, 1e-9}>
    { y = Gather(table, i) }
    """)
    inputs = {"i": np.array([0, 1, 2, 2])}
    outputs = run(model, inputs)
    assert noise(Session(model), inputs, outputs, 1e-6) == {}
    assert not moved_beyond(
        outputs,
        {"y": outputs["y"] + np.float32(1e-8)},
        1e-4,
        reference=lambda: Session(model),
        inputs=inputs,
        rounding=1e-6,
    )


def test_steps_of_an_output_are_rounding():
    """What a Sigmoid says of a page without text: a few times 2⁻²⁴, and one more or less."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    g (float[1,4] x) => (float[1,4] y) <float b = {%s}> { a = Add(x, b) y = Sigmoid(a) }"""
    inputs = {"x": np.zeros((1, 4), np.float32)}
    before = {"y": np.array([[3, 0, 1, 2]], np.float32) * np.float32(2**-24)}
    near = {"y": np.array([[4, 1, 1, 1]], np.float32) * np.float32(2**-24)}
    far = {"y": np.array([[9, 0, 1, 2]], np.float32) * np.float32(2**-24)}

    def judged(after):
        model = graph(text % "-15.5")
        return moved_beyond(
            before, after, 1e-4,
            reference=lambda: Session(model), inputs=inputs, rounding=rounding(model),
        )  # fmt: skip

    assert not judged(near)
    assert judged(far)
