from __future__ import annotations

import pytest

from lprc.passes.commute_mean_conv import CommuteMeanConv


def conv_then(
    mean: str,
    *,
    conv: str = "Conv(x, w, b)",
    weight: str = "6,4,1,1",
    output: str = "y",
    opset: int = 18,
    shape: str = "N,4,8,6",
) -> str:
    return f"""<ir_version: 8, opset_import: ["" : {opset}]>
    agraph (float[{shape}] x, float[{weight}] w, float[6] b) => (float[A,B,C,D] {output})
    <int64[1] height = {{2}}, int64[2] space = {{2, -1}}, int64[1] channel = {{1}},
     int64[0] none = {{}}> {{
        c = {conv}
        {mean}
    }}"""


LEGAL = {
    "height": "y = ReduceMean(c, height)",
    "space": "y = ReduceMean(c, space)",
    "global pool": "y = GlobalAveragePool(c)",
    "pool": "y = AveragePool<kernel_shape=[4,3], strides=[4,3]>(c)",
    "overlapping pool": "y = AveragePool<kernel_shape=[3,3], strides=[2,2]>(c)",
    "padded pool": "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(c)",
}


@pytest.mark.parametrize("mean", LEGAL)
def test_the_mean_comes_first(rewrite, mean):
    found = rewrite(conv_then(LEGAL[mean]), CommuteMeanConv())
    assert found.ops[-1] == "Conv"
    assert len(found.ops) == 2


def test_axes_that_go_are_squeezed_behind(rewrite):
    text = conv_then("y = ReduceMean<keepdims=0>(c, height)").replace("A,B,C,D", "A,B,C")
    found = rewrite(text, CommuteMeanConv())
    assert found.ops == ["ReduceMean", "Conv", "Squeeze"]


def test_axes_as_attribute(rewrite):
    text = conv_then("y = ReduceMean<axes=[2]>(c)", opset=13)
    assert rewrite(text, CommuteMeanConv()).ops == ["ReduceMean", "Conv"]


def test_grouped_conv(rewrite):
    text = conv_then(LEGAL["height"], conv="Conv<group=2>(x, w, b)", weight="6,2,1,1")
    assert rewrite(text, CommuteMeanConv()).ops == ["ReduceMean", "Conv"]


def test_counted_padding_without_bias(rewrite):
    pool = "AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=1>"
    found = rewrite(conv_then(f"y = {pool}(c)", conv="Conv(x, w)"), CommuteMeanConv())
    assert found.ops == ["AveragePool", "Conv"]
    stays = rewrite(conv_then(f"y = {pool}(c)"), CommuteMeanConv())
    assert stays.reasons == ["padding is counted and Conv has a bias"]


def test_a_chain_of_convs_is_passed_whole(rewrite):
    text = conv_then("d = Conv(c, v) y = ReduceMean(d, height)").replace(
        "float[6] b)", "float[6] b, float[5,6,1,1] v)"
    )
    assert rewrite(text, CommuteMeanConv()).ops == ["ReduceMean", "Conv", "Conv"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            conv_then(LEGAL["height"], weight="6,4,3,1"),
            "Conv is not 1×1 with stride 1 and no padding",
        ),
        (
            conv_then(LEGAL["height"], conv="Conv<strides=[2,1]>(x, w, b)"),
            "Conv is not 1×1 with stride 1 and no padding",
        ),
        (
            conv_then(LEGAL["height"], conv="Conv<pads=[1,0,0,0]>(x, w, b)"),
            "Conv is not 1×1 with stride 1 and no padding",
        ),
        (conv_then("m = ReduceMean(c, height) y = Mul(m, c)"), "Conv output has other users"),
        (conv_then("y = ReduceMean(c, channel)"), "mean over batch or channels"),
        (conv_then("y = ReduceMean<noop_with_empty_axes=1>(c, none)"), "nothing is reduced"),
        (
            conv_then("y = AveragePool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(c)"),
            "AveragePool has ceil_mode",
        ),
        (
            conv_then("y = AveragePool<kernel_shape=[3,3]>(c)", shape="N,9,8,6", weight="6,9,1,1"),
            "would not save work",
        ),
    ],
)
def test_means_that_stay(rewrite, text, reason):
    assert rewrite(text, CommuteMeanConv()).reasons == [reason]


def test_axes_that_can_vary_stay(rewrite):
    text = conv_then("y = ReduceMean(c, axes)").replace("float[6] b)", "float[6] b, int64[1] axes)")
    assert rewrite(text, CommuteMeanConv(), runs=False).reasons == ["axes are not constant"]


def test_not_through_an_activation(rewrite):
    found = rewrite(conv_then("r = Relu(c) y = ReduceMean(r, height)"), CommuteMeanConv())
    assert not found.context.rewrites
    assert not found.reasons


CONCAT = """<ir_version: 8, opset_import: ["" : 18]>
    agraph (float[N,2,8,6] x, float[N,2,8,6] z, float[6,4,1,1] w) => (float[N,6,1,6] y)
    <int64[1] height = {2}> {
        k = Concat<axis=AXIS>(x, z)
        c = Conv(k, w)
        y = ReduceMean(c, height)
    }"""


@pytest.mark.parametrize("axis", ["1", "-3"])
def test_through_concat_if_asked(rewrite, axis):
    text = CONCAT.replace("AXIS", axis)
    assert rewrite(text, CommuteMeanConv()).ops == ["Concat", "ReduceMean", "Conv"]
    found = rewrite(text, CommuteMeanConv(through_concat=True))
    assert found.ops == ["ReduceMean", "ReduceMean", "Concat", "Conv"]


def test_through_concat_only_over_channels(rewrite):
    text = CONCAT.replace("AXIS", "2").replace("6,4,1,1", "6,2,1,1")
    found = rewrite(text, CommuteMeanConv(through_concat=True))
    assert found.reasons == ["Concat is not over channels"]


def test_through_concat_only_if_private(rewrite):
    text = CONCAT.replace("AXIS", "1").replace("y)\n", "y, float[N,4,8,6] s)\n", 1)
    text = text.replace("c = Conv", "s = Relu(k)\n        c = Conv")
    found = rewrite(text, CommuteMeanConv(through_concat=True))
    assert found.reasons == ["Concat output has other users"]
