from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lprc.core.graph import editing
from lprc.core.onnx_io import model_io
from lprc.core.passing.pass_base import PassContext
from lprc.core.running.numerics import compare, run
from lprc.core.running.random_inputs import random_inputs
from lprc.passes.average_pool_to_conv import AveragePoolToConv


def network(attributes: str, shape: str = "N,3,7,6", dtype: str = "float", opset: int = 20) -> str:
    rank = len(shape.split(","))
    return f"""<ir_version: 9, opset_import: ["" : {opset}]>
    g ({dtype}[{shape}] x) => ({dtype}[{",".join("ABCDE"[:rank])}] y) {{
        [pool] y = AveragePool<{attributes}>(x)
    }}"""


REPLACED = {
    "plain": ("kernel_shape=[2,3]", "N,3,7,6"),
    "strides": ("kernel_shape=[3,3], strides=[2,1]", "N,3,7,6"),
    "dilations": ("kernel_shape=[2,2], dilations=[2,3]", "N,3,7,6"),
    "VALID": ('kernel_shape=[2,2], auto_pad="VALID"', "N,3,7,6"),
    "one axis": ("kernel_shape=[3]", "N,2,9"),
    "three axes": ("kernel_shape=[2,2,2]", "2,2,4,4,4"),
    "one channel": ("kernel_shape=[2,2]", "N,1,4,4"),
}  # fmt: skip


@pytest.mark.parametrize("form", REPLACED)
def test_a_depthwise_conv(rewrite, form):
    attributes, shape = REPLACED[form]
    found = rewrite(network(attributes, shape), AveragePoolToConv())
    assert found.ops == ["Conv"]


SKIPPED = {
    "windows differ in size": network("kernel_shape=[3,3], pads=[1,1,1,1]"),
    "it counts padding": network("kernel_shape=[3,3], pads=[1,0,1,2], count_include_pad=1"),
    "ceil_mode": network("kernel_shape=[3,3], strides=[2,2], ceil_mode=1"),
    "channel count is unknown": network("kernel_shape=[2,2]", "N,C,4,4"),
    "its input is not float32": network("kernel_shape=[2,2]", dtype="float16"),
}


@pytest.mark.parametrize("reason", SKIPPED)
def test_what_is_left_alone(rewrite, reason):
    found = rewrite(SKIPPED[reason], AveragePoolToConv())
    assert found.reasons == [reason]
    assert found.ops == ["AveragePool"]


def test_same_padding_is_left_alone(rewrite):
    found = rewrite(network('kernel_shape=[3,3], auto_pad="SAME_LOWER"'), AveragePoolToConv())
    assert found.reasons == ["windows differ in size"]


def test_a_pool_inside_a_graph_inside_a_graph(rewrite):
    text = """<ir_version: 9, opset_import: ["" : 20]>
    g (float[1,2,4,4] x, bool flag) => (float[1,2,3,3] y) {
        y = If(flag) <then_branch = t1 () => (float[1,2,3,3] j) {
            i = Neg(x) j = AveragePool<kernel_shape=[2,2]>(i)
        }, else_branch = t2 () => (float[1,2,3,3] k) { k = MaxPool<kernel_shape=[2,2]>(x) }>
    }"""
    found = rewrite(text, AveragePoolToConv())
    assert [item.op_type for item in found.context.rewrites] == ["AveragePool"]


def test_bisection():
    model = ir.from_onnx_text(network("kernel_shape=[2,2]"))
    AveragePoolToConv().run(model, PassContext(rewrite_limit=0))
    assert model.graph[0].op_type == "AveragePool"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_pools_keep_their_outputs(data):
    axes = data.draw(st.integers(1, 2))

    def sizes(least: int, most: int, count: int = axes) -> list[int]:
        return data.draw(st.lists(st.integers(least, most), min_size=count, max_size=count))

    kernel, attributes = sizes(1, 3), {}
    attributes = {"kernel_shape": kernel, "strides": sizes(1, 3), "dilations": sizes(1, 2)}
    if data.draw(st.booleans()):
        pads = sizes(0, 2, 2 * axes)
        assume(all(pad < size for pad, size in zip(pads, kernel * 2, strict=True)))
        attributes |= {"pads": pads, "count_include_pad": data.draw(st.integers(0, 1))}
    attributes["ceil_mode"] = data.draw(st.integers(0, 1))
    written = ", ".join(f"{key}={value}" for key, value in attributes.items())
    text = network(written, ",".join(["2", "3", *["9"] * axes]))
    before, after = ir.from_onnx_text(text), ir.from_onnx_text(text)
    context = PassContext()
    AveragePoolToConv().run(after, context)
    assert len(context.rewrites) + len(context.skips) == 1
    onnx.checker.check_model(model_io.to_proto(after), full_check=True)
    if context.rewrites:
        weight = editing.constant(after.graph[0].inputs[1])
        np.testing.assert_allclose(weight.sum(), 3, rtol=1e-6)
    inputs = random_inputs(before)
    for delta in compare(run(before, inputs), run(after, inputs)):
        assert delta.within(1e-5), delta
