"""2:4 sparsity of weights, against its definition element by element."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lprc.core.errors import UsageError
from lprc.core.graph.weight_sparsity import Pattern, Weight, is_sparse, weights
from lprc.core.onnx_io.model_io import from_proto
from lprc.core.targets.legality import check
from lprc.core.targets.rules import rule_from_table


def brute_force(array, axis, kept, group):
    """At most `kept` of each `group` neighbours along `axis` are not zero."""
    others = [range(size) for index, size in enumerate(array.shape) if index != axis]
    length = array.shape[axis]
    if length == 0 or array.size == 0 or length % group:
        return False
    for place in itertools.product(*others):
        for start in range(0, length, group):
            count = 0
            for offset in range(group):
                index = list(place)
                index.insert(axis, start + offset)
                count += array[tuple(index)] != 0
            if count > kept:
                return False
    return True


VALUES = st.sampled_from([0.0, 0.0, 0.0, -0.0, 1.0, -2.5, np.nan])


@given(st.data())
def test_the_pattern_is_its_definition(data):
    shape = data.draw(array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=8))
    array = data.draw(arrays(np.float32, shape, elements=VALUES))
    axis = data.draw(st.integers(0, len(shape) - 1))
    kept, group = data.draw(st.sampled_from([(2, 4), (1, 2), (1, 4), (4, 8)]))
    node = ir.Node("", "Conv", [])
    assert Weight(node, array, axis).has_pattern(kept, group) == brute_force(
        array, axis, kept, group
    )


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 1000))
def test_pruned_weights_have_it_and_one_more_value_does_not(groups, outputs, seed):
    generator = np.random.default_rng(seed)
    array = generator.uniform(1, 2, (outputs, 4 * groups, 1, 1))
    keep = generator.permuted(np.tile([1, 1, 0, 0], (outputs, groups, 1)), axis=2)
    pruned = array * keep.reshape(outputs, -1, 1, 1)
    node = ir.Node("", "Conv", [])
    assert Weight(node, pruned, 1).has_pattern(2, 4)
    first = tuple(each[0] for each in np.nonzero(pruned == 0))
    pruned[first] = 1
    assert not Weight(node, pruned, 1).has_pattern(2, 4)


def graph(body, **arrays_by_name):
    inputs = ", ".join(f"float[{shape}] {name}" for name, shape in (("x", "N,8,4,4"), ("m", "4,8")))
    text = f'<ir_version: 10, opset_import: ["" : 21]> g ({inputs}) => (float[a] y) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    for name, array in arrays_by_name.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return from_proto(model)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("body", "shape", "axis"),
    [
        ("y = Conv (x, w)", (4, 8, 3, 3), 1),
        ("y = Conv <group = 2> (x, w)", (4, 4, 1, 1), 1),
        # A depthwise Conv multiplies one channel at a time.
        ("y = Conv <group = 8> (x, w)", (8, 1, 3, 3), None),
        ("y = Gemm (m, w)", (8, 4), 0),
        ("y = Gemm <transB = 1> (m, w)", (4, 8), 1),
        ("y = Gemm (w, m)", (4, 8), 1),
        ("y = Gemm <transA = 1> (w, m)", (8, 4), 0),
        ("y = MatMul (m, w)", (8, 4), 0),
        ("y = MatMul (m, w)", (2, 8, 4), 1),
        ("y = MatMul (w, m)", (2, 3, 4), 2),
        ("y = MatMul (m, w)", (8,), None),
        ("y = ConvTranspose (x, w)", (8, 4, 2, 2), None),
        ("y = Add (x, w)", (8, 4), None),
        ("y = Conv (x, x)", (1,), None),
    ],
)
def test_where_input_channels_are(body, shape, axis):
    found = list(weights(graph(body, w=zeros(*shape))))
    assert [(weight.axis, weight.array.shape) for weight in found] == (
        [] if axis is None else [(axis, shape)]
    )


def test_quantised_weights_count_by_their_integers():
    body = "wd = DequantizeLinear (w, s) [conv] y = Conv (x, wd)"
    array = zeros(4, 8, 1, 1, dtype=np.int8)
    array[:, ::4] = array[:, 1::4] = 3
    (found,) = weights(graph(body, w=array, s=np.array(0.5, np.float32)))
    assert (found.node.name, found.axis, found.has_pattern(2, 4)) == ("conv", 1, True)


def test_four_bit_weights():
    import ml_dtypes

    body = "wd = DequantizeLinear (w, s) y = Conv (x, wd)"
    array = np.zeros((4, 8, 1, 1), ml_dtypes.int4)
    array[:, ::4] = array[:, 1::4] = 3
    arguments = {"s": np.array(0.5, np.float32)}
    (found,) = weights(graph(body, w=array, **arguments))
    assert found.has_pattern(2, 4)
    array[:, 2::4] = 1
    (found,) = weights(graph(body, w=array, **arguments))
    assert not found.has_pattern(2, 4)


def rule(**parameters):
    table = {"rule": "sparse-weights", "message": "too few", "remedy": "prune", **parameters}
    return rule_from_table(table, "mine.toml")


def violations(share, *arrays_in_order):
    names = [f"w{index}" for index in range(len(arrays_in_order))]
    body = " ".join(f"y{name} = Conv (x, {name})" for name in names) + " y = Neg (x)"
    model = graph(body, **dict(zip(names, arrays_in_order, strict=True)))
    return [(each.place, each.message) for each in check(model, [rule(share=share)])]


SPARSE, DENSE = zeros(2, 8, 1, 1), zeros(6, 8, 1, 1) + 1


def test_the_share_is_of_elements():
    assert violations(0.25, SPARSE, DENSE) == []
    expected = "too few (1 of 2 weights, 25% of their elements; 26% is wanted)"
    assert violations(0.26, SPARSE, DENSE) == [("model", expected)]
    assert violations(1, SPARSE) == []


def test_a_model_without_sparse_weights_is_none_whatever_the_share():
    assert violations(0, DENSE) == [
        ("model", "too few (0 of 1 weights, 0% of their elements; 0% is wanted)")
    ]
    assert violations(0) == [
        ("model", "too few (0 of 0 weights, 0% of their elements; 0% is wanted)")
    ]


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (True, "a number"),
        ("half", "a number"),
        (-0.1, "at least 0"),
        (1.1, "at most 1"),
        (float("nan"), "a finite number"),
        ([0.5], "a number"),
    ],
)
def test_a_share_that_is_none(share, message):
    with pytest.raises(UsageError, match=f"share: must be {message}"):
        rule(share=share)


def test_a_share_is_needed():
    with pytest.raises(UsageError, match="key 'share' is missing"):
        rule()


@pytest.mark.parametrize("text", ["2:4", "1:4", "7:16"])
def test_the_text_of_a_pattern(text):
    assert str(Pattern.parse(text)) == text


@pytest.mark.parametrize("text", ["", "2", "2:", ":4", "a:b", "-1:4", "4:4", "5:4", "0:4", "2:4:8"])
def test_what_is_no_pattern(text):
    with pytest.raises(ValueError, match="pattern"):
        Pattern.parse(text)


def test_density_and_common_patterns():
    node = ir.Node("", "Conv", [])
    array = zeros(4, 8, 1, 1)
    array[:, ::4] = 1
    assert Weight(node, array, 1).density == 0.25
    assert Weight(node, array, 1).patterns == (Pattern(1, 4), Pattern(2, 4))
    array[:, 1::4] = 1
    assert Weight(node, array, 1).patterns == (Pattern(2, 4),)
    assert Weight(node, array + 1, 1).patterns == ()


def test_when_a_model_is_sparse():
    sparse, dense = zeros(2, 8, 1, 1), zeros(2, 8, 1, 1) + 1
    assert is_sparse(graph("a = Conv (x, v) y = Conv (x, w)", v=sparse, w=dense))
    assert not is_sparse(graph("y = Conv (x, w)", w=dense))
    assert not is_sparse(graph("y = Neg (x)"), share=0)
