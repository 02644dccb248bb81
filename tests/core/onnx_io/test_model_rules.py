"""Rules that onnx's checker leaves to runtimes: broken ones are refused, kept ones are not."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from lprc.core.errors import InvalidModelError
from lprc.core.onnx_io import model_io

F = "float[1,2,6,6] x"


def proto(body: str, opset: int = 18) -> onnx.ModelProto:
    text = f'<ir_version: 8, opset_import: ["" : {opset}, "my" : 1]>\n{body}'
    return onnx.parser.parse_model(text)


def node(text: str, inputs: str = F, weights: str = "") -> str:
    return f"g ({inputs}) => (float[a,b] y) <{weights}> {{ [n] {text} }}"


BROKEN = {
    "strides": (node("y = MaxPool <kernel_shape=[2,2], strides=[1]> (x)"), "strides for 1"),
    "pads": (node("y = MaxPool <kernel_shape=[2,2], pads=[1,1]> (x)"), "pads for 1"),
    "odd pads": (node("y = MaxPool <kernel_shape=[2,2], pads=[1,1,1]> (x)"), "odd number"),
    "dilation 0": (node("y = MaxPool <kernel_shape=[2,2], dilations=[1,0]> (x)"), "below 1"),
    "rank": (node("y = AveragePool <kernel_shape=[2,2,2]> (x)"), "its input has 2 after"),
    "rank 2": (node("y = LpPool <kernel_shape=[2]> (x)", "float[3,3] x"), "at least 3"),
    "inner rank": (
        node("a = Relu(x) [m] y = AveragePool <kernel_shape=[2,2,2]> (a)"),
        "op_type:AveragePool, node name: m",
    ),
    "slice axes": (
        node("y = Slice (x, s, e, a)", weights="int64[1] s={0}, int64[1] e={1}, int64[2] a={0,1}"),
        "starts has 1 numbers, and axes has 2",
    ),
    "scan": (
        node(
            "y = Scan <num_scan_inputs = 2147483648, body = b (float[2,6,6] v) => (float[a] u)"
            " { u = Identity(v) }> (x)"
        ),
        "num_scan_inputs is 2147483648, and it has 1 inputs",
    ),
    "slice by no list": (
        node("y = Slice (x, s, s)", weights="int64 s={0}"),
        "starts has 0 dimensions, and must have one",
    ),
    "slice rank": (
        node("y = Slice (x, s, s)", "float[4] x", "int64[2] s={0,0}"),
        "it slices 2 axes, and its input has 1",
    ),
    "no standard deviation": (
        node("y = RandomNormal <shape=[2,2], scale=0.0> ()"),
        "its scale is 0, and a standard deviation is above 0",
    ),
    "no range": (
        node("y = RandomUniform <shape=[2,2], low=2.0, high=1.0> ()"),
        "draws from 2 to 1, which is no range",
    ),
    "squeeze of no axes": (
        node("c = Constant <value_ints: ints = []> () [n] y = Squeeze (x, c)"),
        "its axes are an empty list, which squeezes nothing by ONNX",
    ),
    "split": (
        node("y, z = Split (x, s)", weights="int64[3] s={1,1,1}"),
        "split into 3 parts, and has 2 outputs",
    ),
    "perm": (node("y = Transpose <perm=[0,0,1,2]> (x)"), "is no permutation"),
    "perm rank": (node("y = Transpose <perm=[1,0]> (x)"), "perm is for 2 axes"),
    "axis": (node("y = Concat <axis=4> (x, x)"), "axis 4 is outside"),
    "bias": (
        node("y = Conv (x, w, b)", weights="float[1,2,1,1] w={1,2}, float[2] b={1,2}"),
        "its bias has the shape [2], and its weights make 1 channels",
    ),
    "transposed bias": (
        node(
            "y = ConvTranspose <group=2> (x, w, b)", weights="float[2,1,1,1] w={1,2}, float b={1}"
        ),
        "its bias has the shape [], and its weights make 2 channels",
    ),
    "branches": (
        node(
            "y, z = If (c) <then_branch = t () => (float[a] p) { p = Relu(x) },"
            " else_branch = e () => (float[a] q) { q = Neg(x) }>",
            weights="bool c={1}",
        ),
        "then_branch has 1 outputs, and it has 2",
    ),
    "gap": (node('y = Sum (x, "", x)'), "its input 1 is left out"),
    "scale": (node("y = RandomNormal <shape=[1,2], scale=-1.0> ()"), "its scale is -1"),
    "range": (node("y = RandomUniform <shape=[1,2], low=2.0> ()"), "from 2 to 1"),
    "dtype": (node("y = EyeLike <dtype=77> (x)"), "'dtype' is 77"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_refused_with_its_node(name):
    body, message = BROKEN[name]
    with pytest.raises(InvalidModelError) as caught:
        model_io.from_proto(proto(body))
    assert message in str(caught.value)
    if name != "inner rank":
        assert (caught.value.node, "node 'n'" in str(caught.value)) == ("n", True)


KEPT = {
    "optional input": node('y = Clip (x, "", h)', weights="float h={1}"),
    "same pads": node("y = MaxPool <kernel_shape=[2,2], auto_pad='SAME_UPPER'> (x)").replace(
        "'", '"'
    ),
    "squeeze of no axes where none is 1": node(
        "y = Squeeze (x, s)", "float[2,3] x", "int64[0] s={}"
    ),
    "squeeze without axes": node("y = Squeeze (x)"),
    "split": node("y, z = Split <num_outputs=2, axis=1> (x)"),
    "slice": node("y = Slice (x, s, s, s)", weights="int64[1] s={0}"),
    "slice of what is not known": node("y = Slice (x, s, e)", f"{F}, int64[n] s, int64[1] e"),
    "negative axis": node("y = Concat <axis=-4> (x, x)"),
    "function": node("y = my.f <a=1.0> (x)")
    + '<domain: "my", opset_import: ["" : 18]> f <a> (v) => (w) '
    "{ c = Constant <value_float: float = @a> () w = Mul(v, c) }",
    "functions that call": node("y = my.f (x)")
    + '<domain: "my", opset_import: ["" : 18, "my" : 1]> f (v) => (w) { w = my.h(v) }'
    '<domain: "my", opset_import: ["" : 18]> h (v) => (w) { w = Relu(v) }',
}


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ("q_num_heads=4, kv_num_heads=0", "kv_num_heads is 0"),
        ("q_num_heads=4, kv_num_heads=3", "input 1 is 8 wide, which kv_num_heads 3"),
        ("q_num_heads=3, kv_num_heads=4", "input 0 is 8 wide, which q_num_heads 3"),
    ],
)
def test_heads_that_share_nothing_evenly(heads, message):
    body = node(f"y = Attention <{heads}> (x, x, x)", "float[1,6,8] x")
    model = onnx.parser.parse_model(f'<ir_version: 11, opset_import: ["" : 23]> {body}')
    with pytest.raises(InvalidModelError, match=message):
        model_io.from_proto(model)


@pytest.mark.parametrize("name", KEPT)
def test_what_is_right_is_read(name):
    model_io.from_proto(proto(KEPT[name]))


FUNCTIONS = {
    "in a circle": (
        '<domain: "my", opset_import: ["" : 18, "my" : 1]> f (v) => (w) { w = my.h(v) }'
        '<domain: "my", opset_import: ["" : 18, "my" : 1]> h (v) => (w) { w = my.f(v) }',
        "calls itself: my::",
    ),
    "a version that is none": (
        f'<domain: "my", opset_import: ["" : {2**40}]> f (v) => (w) {{ w = Relu(v) }}',
        "opset 1099511627776 is newer than",
    ),
    "undeclared attribute": (
        '<domain: "my", opset_import: ["" : 18]> f (v) => (w) '
        "{ c = Constant <value_float: float = @a> () w = Mul(v, c) }",
        "which its function does not declare",
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_can_not_be_called_are_refused(name):
    text, message = FUNCTIONS[name]
    with pytest.raises(InvalidModelError, match=message):
        model_io.from_proto(proto(node("y = my.f (x)") + text))


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.INT4, TensorProto.COMPLEX64])
@pytest.mark.parametrize("raw", [True, False])
def test_data_of_every_width_is_read(kind, raw):
    values = [1, 2, 3]
    tensor = helper.make_tensor("w", kind, [3], values)
    if raw:
        data = onnx.numpy_helper.to_array(tensor)
        tensor = onnx.numpy_helper.from_array(data, "w")
    model = proto(node("y = Relu(x)"))
    model.graph.initializer.append(tensor)
    model_io.from_proto(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensor: tensor.float_data.append(1), "too large: 3 values"),
        (lambda tensor: tensor.int64_data.append(1), "at once"),
        (lambda tensor: setattr(tensor, "data_type", 7), "is read from int64_data"),
        (lambda tensor: tensor.dims.append(-1), "negative size"),
        (lambda tensor: setattr(tensor, "data_type", 0), "element type 0 is unknown"),
        (lambda tensor: setattr(tensor, "data_type", -5), "element type -5 is unknown"),
        (lambda tensor: setattr(tensor, "raw_data", b""), "at once"),
        (lambda tensor: tensor.segment.SetInParent(), "segments"),
    ],
)
def test_data_that_does_not_fit_is_refused(change, message):
    model = proto(node("y = Relu(x)"))
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [2], [1, 2])
    change(tensor)
    model.graph.initializer.append(tensor)
    with pytest.raises(InvalidModelError, match=message):
        model_io.from_proto(model)


def test_sizes_that_say_nothing_are_symbolic():
    source = proto("g (float[-1,3,0,8] x) => (float[-1,3,N,8] y) { y = Relu(x) }")
    before = source.SerializeToString()
    model = model_io.from_proto(source)
    shape = model.graph.inputs[0].shape
    assert shape is not None
    assert [size if isinstance(size, int) else None for size in shape] == [None, 3, None, 8]
    assert source.SerializeToString() == before


def test_an_empty_initializer_keeps_its_size():
    model = model_io.from_proto(
        proto("g (float[1,2] x, float[0] w) => (float[1,2] y) <float[0] w = {}> { y = Relu(x) }")
    )
    assert model.graph.inputs[1].shape == [0]
