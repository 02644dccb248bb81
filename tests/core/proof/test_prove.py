"""Pairs of graphs: what is proved, what is refuted, and what is neither."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from lprc.core.graph import provenance
from lprc.core.onnx_io import model_io
from lprc.core.proof.moving import Mover
from lprc.core.proof.prove import prove
from lprc.core.proof.snapshot import snapshot
from lprc.core.proof.verdict import Verdict

HEAD = '<ir_version: 9, opset_import: ["" : 20]> g '


def verdict(before: str, after: str, **arrays: np.ndarray) -> Verdict:
    graphs = []
    for text in (before, after):
        proto = onnx.parser.parse_model(HEAD + text)
        for name, array in arrays.items():
            if f" {name}" in text:
                proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        model = model_io.from_proto(proto)
        provenance.stamp(model)
        graphs.append(snapshot(model, {"x": (2, 3), "c": ()}))
    return prove(graphs[0], graphs[1], Mover(20))


FLAT = "(float[N,3] x) => (float[N,3] y) "
IMAGE = "(float[1,2,4,5] x) => (float[1,3,A,B] y) "
BRANCH = "(float[N,3] x, bool c) => (float[N,3] y) "
RANDOM = "[one] a = RandomNormalLike(x) [two] b = RandomNormalLike(x) "

PROVED = {
    "the range of what is in front": (
        FLAT + "{ [s] a = Sigmoid(x) [t] b = Transpose(a) [r] c = Relu(b) [e] y = Transpose(c) }",
        FLAT + "{ [s] a = Sigmoid(x) [t] b = Transpose(a) [e] y = Transpose(b) }",
    ),
    "a distributive law": (
        FLAT + "<float k = {3}> { a = Add(x, x) y = Mul(a, k) }",
        FLAT + "<float k = {6}> { y = Mul(x, k) }",
    ),
    "a square, which is no sum of multiples": (
        FLAT + "<float k = {2}> { a = Add(x, k) y = Mul(a, a) }",
        FLAT + "<float k = {4}> { a = Mul(x, x) b = Mul(x, k) c = Add(a, b) y = Add(c, k) }",
    ),
    "in a branch": (
        BRANCH + "{ y = If(c) <then_branch = t () => (float[N,3] p) { q = Identity(x) p = Neg(q) },"
        " else_branch = e () => (float[N,3] r) { r = Neg(x) }> }",
        BRANCH + "{ y = If(c) <then_branch = t () => (float[N,3] p) { p = Neg(x) },"
        " else_branch = e () => (float[N,3] r) { r = Neg(x) }> }",
    ),
}

REFUTED = {
    "padding on the other side": (
        IMAGE + "{ y = Conv<pads=[0,0,1,1]>(x, w) }",
        IMAGE + "{ y = Conv<pads=[1,1,0,0]>(x, w) }",
    ),
    "a range that is not known": (
        FLAT + "{ [s] a = Tanh(x) [r] b = Relu(a) [e] y = Neg(b) }",
        FLAT + "{ [s] a = Tanh(x) [e] y = Neg(a) }",
    ),
    "another operand": (
        FLAT + "{ a = Neg(x) y = Sub(x, a) }",
        FLAT + "{ a = Neg(x) y = Sub(a, x) }",
    ),
    "another shape": (
        "(float[2,3] x) => (float[A,B] y) { y = Transpose<perm=[0,1]>(x) }",
        "(float[2,3] x) => (float[A,B] y) { y = Transpose<perm=[1,0]>(x) }",
    ),
    "a place": (
        FLAT + "<float[3] k = {1,2,3}> { a = Mul(x, k) y = Identity(a) }",
        FLAT + "<float[3] j = {1,3,2}> { a = Mul(x, j) y = Identity(a) }",
    ),
    "in one branch": (
        BRANCH + "{ y = If(c) <then_branch = t () => (float[N,3] p) { q = Neg(x) p = Neg(q) },"
        " else_branch = e () => (float[N,3] r) { r = Neg(x) }> }",
        BRANCH + "{ y = If(c) <then_branch = t () => (float[N,3] p) { p = Neg(x) },"
        " else_branch = e () => (float[N,3] r) { r = Neg(x) }> }",
    ),
}

NEITHER = {
    "two random numbers are not one": (
        FLAT + "{" + RANDOM + "[s] y = Sub(a, b) }",
        FLAT + "{ [one] a = RandomNormalLike(x) [s] y = Sub(a, a) }",
    ),
    "an infinity takes no part in arithmetic": (
        FLAT + "<float z = {0}> { a = Mul(z, k) y = Mul(x, a) }",
        FLAT + "<float z = {0}> { y = Mul(x, z) }",
    ),
    "integers divide in another way": (
        "(int64[3] x) => (int64[3] y) <int64 k = {2}> { a = Div(x, k) y = Mul(a, k) }",
        "(int64[3] x) => (int64[3] y) { y = Identity(x) }",
    ),
}

ARRAYS = {
    "w": np.random.default_rng(0).standard_normal((3, 2, 2, 2)).astype(np.float32),
    "k": np.array(np.inf, np.float32),
}


@pytest.mark.parametrize("name", PROVED)
def test_proved(name):
    found = verdict(*PROVED[name])
    assert str(found) == "proved"


@pytest.mark.parametrize("name", REFUTED)
def test_refuted(name):
    before, after = REFUTED[name]
    found = verdict(before, after, **({"w": ARRAYS["w"]} if "w)" in before else {}))
    assert found.state == "refuted"
    assert found.counterexample is not None
    assert found.reason


@pytest.mark.parametrize("name", NEITHER)
def test_neither(name):
    before, after = NEITHER[name]
    found = verdict(before, after, **({"k": ARRAYS["k"]} if "infinity" in name else {}))
    assert found.state != "proved"
    assert found.reason


@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
@pytest.mark.parametrize(("steps", "state"), [(1, "proved"), (3, "not proved")])
def test_a_constant_may_be_off_by_its_rounding(kind, steps, state):
    """By two units, each half a step of float32 at most; three steps are too small to replay."""
    shape = (3, 2, 2, 2) if kind == "Conv" else (3, 4)
    weight = np.random.default_rng(1).uniform(1, 1.1, shape).astype(np.float32)
    moved = weight.copy()
    moved[0, 0] += np.float32(steps * 2.0**-23)
    arrays = {"w": weight, "v": moved}
    head = IMAGE if kind == "Conv" else "(float[N,3] x) => (float[N,4] y) "
    found = verdict(f"{head} {{ y = {kind}(x, w) }}", f"{head} {{ y = {kind}(x, v) }}", **arrays)
    assert found.state == state
    assert found.rounded == (state == "proved")


def test_one_position_is_judged_of_a_convolution():
    """That it is counts, for the time that it takes; that it is enough is for docs/proof.md."""
    text = "(float[8,3,64,64] x) => (float[8,A,B,C] y) "
    weight = np.random.default_rng(2).standard_normal((4, 3, 3, 3)).astype(np.float32)
    arrays = {"w": weight, "v": 2 * weight}
    found = verdict(
        text + "<float k = {2}> { a = Conv<pads=[1,1,1,1]>(x, w) y = Mul(a, k) }",
        text + "{ y = Conv<pads=[1,1,1,1]>(x, v) }",
        **arrays,
    )
    assert found.state == "proved"
    assert found.elements == 8 * 4 * 64 * 64
