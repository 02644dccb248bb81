"""What operators mean to a proof, against the table of operators and against ONNX Runtime."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import pytest

from lprc.core.graph import operators
from lprc.core.onnx_io import model_io
from lprc.core.proof import elementwise, linear
from lprc.core.proof.moving import Mover
from lprc.core.proof.numbering import Numbering
from lprc.core.proof.semantics import MEANINGS, Meaning
from lprc.core.proof.snapshot import snapshot
from lprc.core.proof.terms import NotProvedError, Terms
from lprc.core.proof.window import Window
from lprc.core.running.numerics import run
from lprc.core.running.random_inputs import random_inputs


def with_meaning(meaning: Meaning) -> set[str]:
    return {name for name, each in MEANINGS.items() if each is meaning}


def test_every_operator_of_the_table_has_a_meaning():
    assert set(MEANINGS) == set(operators.SINCE)
    assert with_meaning(Meaning.MOVES) == operators.MOVES | {"Pad", "Trilu"}
    mapped = with_meaning(Meaning.ELEMENTS)
    assert mapped == (operators.UNARY | operators.BROADCAST) - (
        (operators.RANDOM - {"Dropout"}) | operators.MOVES
    )
    refused = with_meaning(Meaning.REFUSED)
    assert refused >= operators.WITH_SUBGRAPHS | (operators.RANDOM - {"Dropout"})
    assert refused >= operators.MAKES_SEQUENCE | operators.READS_SEQUENCE


def test_every_rule_is_of_an_operator_that_has_that_meaning():
    assert set(elementwise.RULES) <= with_meaning(Meaning.ELEMENTS)
    assert set(linear.RULES) == with_meaning(Meaning.SUMS)
    assert set(elementwise.RANGES) <= with_meaning(Meaning.ELEMENTS) | with_meaning(Meaning.OPAQUE)
    # Fails where the table learns a linear operator that nobody gave a meaning.
    assert with_meaning(Meaning.SUMS) >= operators.LINEAR
    assert operators.POOLS | (operators.GLOBAL_POOLS - {"GlobalLpPool"}) <= set(linear.RULES)


GRAPHS = {
    "Abs": "(float[2,3] x) => (float[2,3] y) { y = Abs(x) }",
    "Add": "(float[2,3] x, float[3] b) => (float[2,3] y) { y = Add(x, b) }",
    "Clip": "(float[2,3] x) => (float[2,3] y) <float l = {-0.5}, float h = {0.25}> { y = Clip(x, l, h) }",
    "Clip low": "(float[2,3] x) => (float[2,3] y) <float l = {0.5}> { y = Clip(x, l) }",
    "Clip high": '(float[2,3] x) => (float[2,3] y) <float h = {0.25}> { y = Clip(x, "", h) }',
    "Div": "(float[2,3] x) => (float[2,3] y) <float[3] d = {2,4,-8}> { y = Div(x, d) }",
    "Dropout": "(float[2,3] x) => (float[2,3] y) { y = Dropout(x) }",
    "HardSigmoid": "(float[2,9] x) => (float[2,9] y) { y = HardSigmoid<alpha=0.5>(x) }",
    "HardSwish": "(float[2,9] x) => (float[2,9] y) { y = HardSwish(x) }",
    "LeakyRelu": "(float[2,3] x) => (float[2,3] y) { y = LeakyRelu(x) }",
    "Max": "(float[2,3] x, float[3] b, float[1] c) => (float[2,3] y) { y = Max(x, b, c) }",
    "Mean": "(float[2,3] x, float[3] b, float[1] c) => (float[2,3] y) { y = Mean(x, b, c) }",
    "Min": "(float[2,3] x, float[3] b) => (float[2,3] y) { y = Min(x, b) }",
    "Mul": "(float[2,3] x, float[3] b) => (float[2,3] y) { y = Mul(x, b) }",
    "Neg": "(float[2,3] x) => (float[2,3] y) { y = Neg(x) }",
    "PRelu": "(float[2,3] x, float[3] s) => (float[2,3] y) { y = PRelu(x, s) }",
    "Pow": "(float[2,3] x) => (float[2,3] y) <float[3] e = {1,2,3}> { y = Pow(x, e) }",
    "Reciprocal": "(float[2,3] x) => (float[2,3] y) { y = Reciprocal(x) }",
    "Relu": "(float[2,3] x) => (float[2,3] y) { y = Relu(x) }",
    "Sub": "(float[2,3] x, float[3] b) => (float[2,3] y) { y = Sub(b, x) }",
    "Sum": "(float[2,3] x, float[3] b, float[1] c) => (float[2,3] y) { y = Sum(x, b, c) }",
    "ThresholdedRelu": "(float[2,9] x) => (float[2,9] y) { y = ThresholdedRelu<alpha=0.3>(x) }",
    "AveragePool": "(float[1,2,5,6] x) => (float[1,2,A,B] y) { y = AveragePool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]>(x) }",
    "AveragePool counting": "(float[1,2,5,6] x) => (float[1,2,A,B] y) { y = AveragePool<kernel_shape=[3,2], pads=[1,0,1,1], count_include_pad=1>(x) }",
    "AveragePool same": '(float[1,2,5,6] x) => (float[1,2,A,B] y) { y = AveragePool<kernel_shape=[2,4], strides=[2,3], auto_pad="SAME_UPPER">(x) }',
    "BatchNormalization": "(float[2,2,3] x) => (float[2,2,3] y) <float[2] s = {2,-3}, float[2] b = {0,1}, float[2] m = {0.5,1}, float[2] v = {0.3,4}> { y = BatchNormalization<epsilon=0.1>(x, s, b, m, v) }",
    "Conv": "(float[2,4,5,6] x, float[6,2,3,2] w, float[6] b) => (float[2,6,A,B] y) { y = Conv<group=2, strides=[2,1], pads=[1,0,2,1], dilations=[1,2]>(x, w, b) }",
    "Conv same": '(float[1,2,5,6] x, float[3,2,2,4] w) => (float[1,3,A,B] y) { y = Conv<auto_pad="SAME_LOWER", strides=[2,3]>(x, w) }',
    "Conv valid": '(float[1,2,7] x, float[3,2,2] w) => (float[1,3,A] y) { y = Conv<auto_pad="VALID">(x, w) }',
    "ConvTranspose": "(float[2,4,3,4] x, float[4,3,3,2] w, float[6] b) => (float[2,6,A,B] y) { y = ConvTranspose<group=2, strides=[2,3], pads=[1,0,0,1], dilations=[2,1], output_padding=[1,2]>(x, w, b) }",
    "Gemm": "(float[3,2] x, float[4,3] w, float[4] c) => (float[2,4] y) { y = Gemm<transA=1, transB=1, alpha=0.5, beta=2.0>(x, w, c) }",
    "GlobalAveragePool": "(float[1,2,3,4] x) => (float[1,2,1,1] y) { y = GlobalAveragePool(x) }",
    "GlobalMaxPool": "(float[1,2,3,4] x) => (float[1,2,1,1] y) { y = GlobalMaxPool(x) }",
    "MatMul": "(float[2,3,4] x, float[4,5] w) => (float[2,3,5] y) { y = MatMul(x, w) }",
    "MatMul broadcast": "(float[2,1,3,4] x, float[5,4,2] w) => (float[2,5,3,2] y) { y = MatMul(x, w) }",
    "MatMul vectors": "(float[4] x, float[4] w) => (float y) { y = MatMul(x, w) }",
    "MatMul left vector": "(float[4] x, float[2,4,3] w) => (float[2,3] y) { y = MatMul(x, w) }",
    "MatMul right vector": "(float[2,3,4] x, float[4] w) => (float[2,3] y) { y = MatMul(x, w) }",
    "MaxPool": "(float[1,2,5,6] x) => (float[1,2,A,B] y) { y = MaxPool<kernel_shape=[2,3], strides=[2,1], pads=[0,1,1,1], dilations=[1,2]>(x) }",
    "ReduceMax": "(float[2,3,4] x) => (float[2,4] y) <int64[1] a = {1}> { y = ReduceMax<keepdims=0>(x, a) }",
    "ReduceMean": "(float[2,3,4] x) => (float[1,3,1] y) <int64[2] a = {0,-1}> { y = ReduceMean(x, a) }",
    "ReduceMin": "(float[2,3,4] x) => (float[1,1,1] y) { y = ReduceMin(x) }",
    "ReduceSum": "(float[2,3,4] x) => (float[2,3,4] y) { y = ReduceSum<noop_with_empty_axes=1>(x) }",
    "Concat": "(float[2,3] x, float[2,1] z) => (float[2,4] y) { y = Concat<axis=-1>(z, x) }",
    "DepthToSpace": '(float[1,8,2,3] x) => (float[1,2,4,6] y) { y = DepthToSpace<blocksize=2, mode="CRD">(x) }',
    "Expand": "(float[3,1] x) => (float[2,3,4] y) <int64[3] s = {2,3,4}> { y = Expand(x, s) }",
    "Flatten": "(float[2,3,4] x) => (float[6,4] y) { y = Flatten<axis=2>(x) }",
    "Gather": "(float[2,3] x) => (float[2,2] y) <int64[2] i = {2,-3}> { y = Gather<axis=1>(x, i) }",
    "Pad": "(float[2,3] x) => (float[4,4] y) <int64[4] p = {1,0,1,1}, float v = {7}> { y = Pad(x, p, v) }",
    "Pad reflecting": '(float[2,3] x) => (float[2,6] y) <int64[4] p = {0,2,0,1}> { y = Pad<mode="reflect">(x, p) }',
    "Slice": "(float[4,5] x) => (float[4,2] y) <int64[1] s = {-1}, int64[1] e = {0}, int64[1] a = {1}, int64[1] t = {-2}> { y = Slice(x, s, e, a, t) }",
    "Split": "(float[2,5] x) => (float[2,2] y, float[2,3] z) <int64[2] s = {2,3}> { y, z = Split<axis=1>(x, s) }",
    "Tile": "(float[2,3] x) => (float[2,6] y) <int64[2] r = {1,2}> { y = Tile(x, r) }",
    "Transpose": "(float[2,3,4] x) => (float[4,2,3] y) { y = Transpose<perm=[2,0,1]>(x) }",
    "Trilu": "(float[3,3] x) => (float[3,3] y) { y = Trilu<upper=0>(x) }",
    "Reshape by Shape": "(float[2,3,4] x) => (float[A,B] y) <int64[1] m = {-1}> { s = Shape<start=2>(x) t = Concat<axis=0>(m, s) y = Reshape(x, t) }",
}  # fmt: skip


def value_of(terms: Terms, number: int, values: dict[int, float]) -> float:
    """A term with numbers for its variables."""
    known = terms.value(number)
    if known is not None:
        return float(known)
    if terms.is_variable(number):
        return values[number]
    operator, operands = terms.operators[number], terms.operands[number]
    if operator == "dot":
        rows = [
            [value_of(terms, each, values) for each in terms.elements(row).tolist()]
            for row in operands
        ]
        return float(np.dot(*rows))
    given = [value_of(terms, each, values) for each in operands]
    if operator == "if_negative":
        return given[1] if given[0] < 0 else given[2]
    return float(ARITHMETIC[operator](*given))


ARITHMETIC = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "max": max,
    "min": min,
}


@pytest.mark.parametrize("name", GRAPHS)
def test_terms_have_the_values_that_onnx_runtime_computes(name):
    text = f'<ir_version: 9, opset_import: ["" : 20]> g {GRAPHS[name]}'
    model = model_io.from_proto(onnx.parser.parse_model(text))
    inputs = random_inputs(model, seed=1)
    graph = snapshot(model, {key: array.shape for key, array in inputs.items()})
    window = Window(Numbering(graph, graph), Mover(20), opened=everything(graph))
    tensors = {value.name: window.tensor(value) for value in graph.graph.outputs}
    values = {}
    for number, tensor in window.boundary.items():
        flat = inputs[member_name(graph, number)].reshape(-1).tolist()
        values.update(zip(tensor.ids.reshape(-1).tolist(), flat, strict=True))
    for output, wanted in run(model, inputs).items():
        ids = tensors[output].ids
        assert ids.shape == wanted.shape
        numbers = [value_of(window.terms, each, values) for each in ids.reshape(-1).tolist()]
        np.testing.assert_allclose(
            np.array(numbers).reshape(ids.shape), wanted, rtol=1e-5, atol=1e-6
        )


def everything(graph) -> frozenset[int]:
    numbering = Numbering(graph, graph)
    return frozenset(numbering.number(value) for node in graph.graph for value in node.outputs)


def member_name(graph, number: int) -> str:
    return Numbering(graph, graph).members[number].name


def test_the_graphs_speak_of_every_rule():
    spoken = {name.split()[0] for name in GRAPHS}
    assert spoken >= set(elementwise.RULES)
    assert spoken >= set(linear.RULES) - {"LpPool"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{ y = MaxPool<kernel_shape=[2,2], ceil_mode=1>(x) }", "ceil_mode"),
        ("{ y = RandomNormalLike(x) }", "not interpreted"),
        ("{ s = Shape(x) t = Cast<to=7>(x) u = Flatten(t) y = Gather(x, u) }", "is not constant"),
    ],
)
def test_what_can_not_be_said_is_said(text, reason):
    model = onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["" : 20]> g (float[1,1,3,3] x) => (float[A,B,C,D] y) {text}'
    )
    graph = snapshot(model_io.from_proto(model), {})
    window = Window(Numbering(graph, graph), Mover(20), opened=everything(graph))
    with pytest.raises(NotProvedError, match=reason):
        window.tensor(graph.graph.outputs[0])


def test_floats_are_the_rationals_that_they_are():
    terms = Terms()
    (number,) = terms.constants(np.array([0.1], np.float32)).tolist()
    assert terms.value(number) == Fraction(13421773, 2**27)
    assert terms.constants(np.array([-0.0])).tolist() == [0]
