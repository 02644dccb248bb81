from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from lprc.core.passing.pass_base import PassContext
from lprc.core.running.numerics import run
from lprc.passes.legalize import Legalize

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


def volume(
    pool: str, *, axis: int = 0, source: str = "N,8,9,10", dtype: str = "float", outputs: str = "p"
) -> str:
    return f"""{HEAD}
    agraph ({dtype}[{source}] x) => ({dtype}[N,C,H,W] y) <int64[1] axes = {{{axis}}}> {{
        u = Unsqueeze(x, axes)
        {outputs} = MaxPool<{pool}>(u)
        y = Squeeze(p, axes)
    }}"""


def torch_pool3d(
    x: np.ndarray, kernel: tuple[int, int, int], stride: tuple[int, int, int]
) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2, 3))
    return windows[:, :: stride[0], :: stride[1], :: stride[2]].max(axis=(-3, -2, -1))


@pytest.mark.parametrize("axis", [0, 1, -5, -4])
@pytest.mark.parametrize(("stride", "slices"), [(1, 0), (2, 1), (4, 1)])
def test_unsqueezed_pool_becomes_slice_and_pool(rewrite, axis, stride, slices):
    found = rewrite(volume(f"kernel_shape=[1,3,3], strides=[{stride},1,2]", axis=axis), Legalize())
    assert found.ops == ["Slice"] * slices + ["MaxPool"]
    assert list(found.node("MaxPool").attributes["kernel_shape"].value) == [3, 3]


@pytest.mark.parametrize(
    "pool",
    [
        "kernel_shape=[1,3,3], strides=[3,2,2], pads=[0,1,0,0,1,2]",
        "kernel_shape=[1,3,3], strides=[3,2,2], dilations=[1,2,2]",
        "kernel_shape=[1,3,3], strides=[3,2,2], dilations=[5,1,1]",
        "kernel_shape=[1,2,2], strides=[3,2,3], ceil_mode=1",
        'kernel_shape=[1,3,3], strides=[3,2,2], auto_pad="SAME_UPPER"',
        'kernel_shape=[1,3,3], strides=[3,2,2], auto_pad="SAME_LOWER"',
        'kernel_shape=[1,3,3], strides=[3,2,2], auto_pad="VALID"',
        "kernel_shape=[1,3,3], strides=[2,1,1], storage_order=1",
    ],
)
def test_other_attributes_go_to_the_plane(rewrite, pool):
    # Seven channels: ONNX Runtime refuses SAME where a stride steps over the last channel.
    found = rewrite(volume(pool, source="N,7,9,10"), Legalize())
    assert found.ops == ["Slice", "MaxPool"]


def test_channel_kernel_becomes_max_of_slices(rewrite):
    for pool in (
        "kernel_shape=[3,3,3], strides=[2,1,1]",
        "kernel_shape=[2,1,1], strides=[3,1,1], dilations=[3,1,1]",
        "kernel_shape=[2,2,2]",
    ):
        found = rewrite(volume(pool), Legalize())
        assert "Max" in found.ops
        assert "Unsqueeze" not in found.ops


def test_plane_without_windows_needs_no_pool(rewrite):
    found = rewrite(volume("kernel_shape=[1,1,1], strides=[2,1,1]"), Legalize())
    assert found.ops == ["Slice"]


def test_pool_that_does_nothing_disappears(rewrite):
    assert rewrite(volume("kernel_shape=[1,1,1]"), Legalize()).ops == ["Identity"]


@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        ("kernel_shape=[3,3,3], pads=[1,0,0,1,0,0]", "pads on the channel axis"),
        ("kernel_shape=[5,1,1]", "channel kernel is above max-channel-kernel"),
        ('kernel_shape=[3,1,1], auto_pad="SAME_UPPER"', "auto_pad with a channel kernel"),
        (
            "kernel_shape=[2,1,1], strides=[2,1,1], ceil_mode=1",
            "ceil_mode with a channel kernel",
        ),
    ],
)
def test_channel_windows_that_stay(rewrite, pool, reason):
    assert rewrite(volume(pool), Legalize()).reasons == [reason]


def test_channel_kernel_over_integers_stays(rewrite):
    found = rewrite(volume("kernel_shape=[2,1,1]", dtype="uint8"), Legalize())
    assert found.reasons == ["channel kernel over integers or an unknown type"]


def test_used_indices_stay(rewrite):
    text = f"""{HEAD}
    agraph (float[1,8,9,10] x) => (float[1,4,7,8] y, int64[1,1,4,7,8] i) <int64[1] axes = {{0}}> {{
        u = Unsqueeze(x, axes)
        p, i = MaxPool<kernel_shape=[1,3,3], strides=[2,1,1]>(u)
        y = Squeeze(p, axes)
    }}"""
    assert rewrite(text, Legalize()).reasons == ["Indices output is used"]


def test_unused_indices_do_not_matter(rewrite):
    found = rewrite(volume("kernel_shape=[1,3,3], strides=[2,1,1]", outputs="p, i"), Legalize())
    assert found.ops == ["Slice", "MaxPool"]


def test_a_user_of_the_volume_gets_it_back(rewrite):
    text = f"""{HEAD}
    agraph (float[2,8,9,10] x) => (float[2,4,7,8] y, float[1,2,4,7,8] z) <int64[1] axes = {{0}}> {{
        u = Unsqueeze(x, axes)
        p = MaxPool<kernel_shape=[1,3,3], strides=[2,1,1]>(u)
        y = Squeeze(p, axes)
        z = Neg(p)
    }}"""
    assert rewrite(text, Legalize()).ops == ["Slice", "MaxPool", "Unsqueeze", "Neg"]


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ("1, 2, 8, 9, 10", "2, 4, 7, 8"),
        ("2, 1, 8, 9, 10", "2, 4, 7, 8"),
        ("-1, 1, 8, 9, 10", "-1, 4, 7, 8"),
        ("0, 1, 8, 9, 10", "0, 4, 7, 8"),
    ],
)
def test_reshapes_are_read_as_unsqueeze(rewrite, there, back):
    text = f"""{HEAD}
    agraph (float[2,8,9,10] x) => (float[2,4,7,8] y)
    <int64[5] there = {{{there}}}, int64[4] back = {{{back}}}> {{
        u = Reshape(x, there)
        p = MaxPool<kernel_shape=[1,3,3], strides=[2,1,1]>(u)
        y = Reshape(p, back)
    }}"""
    assert rewrite(text, Legalize()).ops == ["Slice", "MaxPool"]


def test_a_reshape_that_mixes_axes_is_no_candidate(rewrite):
    text = f"""{HEAD}
    agraph (float[2,8,9,10] x) => (float[1,4,4,7,8] y) <int64[5] there = {{1, 4, 4, 9, 10}}> {{
        u = Reshape(x, there)
        y = MaxPool<kernel_shape=[1,3,3]>(u)
    }}"""
    found = rewrite(text, Legalize())
    assert found.ops == ["Reshape", "MaxPool"]
    assert not found.reasons


def test_real_volumes_are_no_candidates(rewrite):
    text = f"""{HEAD}
    agraph (float[1,2,8,9,10] x) => (float[1,2,8,7,8] y) {{
        y = MaxPool<kernel_shape=[1,3,3]>(x)
    }}"""
    found = rewrite(text, Legalize())
    assert found.ops == ["MaxPool"]
    assert not found.reasons


def test_invalid_pools_of_the_older_exporter_get_valid(rewrite):
    # ONNX Runtime refuses the input graph, so numpy says what torch's MaxPool3d gives.
    text = f"""{HEAD}
    agraph (float[2,8,9,20] x) => (float[2,1,5,8] y) {{
        a = Relu(x)
        b = MaxPool<kernel_shape=[1,3,3], strides=[2,1,1]>(a)
        c = Relu(b)
        y = MaxPool<kernel_shape=[1,3,3], strides=[4,1,2]>(c)
    }}"""
    found = rewrite(text, Legalize(), runs=False)
    assert found.ops == ["Relu", "Slice", "MaxPool", "Relu", "Slice", "MaxPool"]
    x = np.random.default_rng(0).standard_normal((2, 8, 9, 20)).astype(np.float32)
    first = torch_pool3d(np.maximum(x, 0), (1, 3, 3), (2, 1, 1))
    expected = torch_pool3d(first, (1, 3, 3), (4, 1, 2))
    np.testing.assert_array_equal(run(found.model, {"x": x})["y"], expected)


def test_ranks_follow_from_weights_behind_an_invalid_pool():
    text = f"""{HEAD}
    agraph (float[1,4,9,9] x) => (float[1,2,5,5] y) <float[4,4,1,1] w = {{{",".join("1" * 16)}}}> {{
        a = MaxPool<kernel_shape=[1,3,3]>(x)
        b = Conv(a, w)
        y = MaxPool<kernel_shape=[1,3,3], strides=[2,1,1]>(b)
    }}"""
    model, context = ir.from_onnx_text(text), PassContext()
    Legalize().run(model, context)
    assert [node.op_type for node in model.graph] == ["MaxPool", "Conv", "Slice", "MaxPool"]


@pytest.mark.parametrize(
    ("perm", "pool"),
    [
        ([0, 2, 1, 3], "kernel_shape=[1,3], strides=[2,1]"),
        ([0, 2, 3, 1], "kernel_shape=[3,1], strides=[1,4]"),
        ([0, 3, 1, 2], "kernel_shape=[2,3], strides=[2,2]"),
        ([0, 3, 2, 1], "kernel_shape=[3,1], strides=[2,2], pads=[1,0,1,0]"),
    ],
)
def test_transposed_pools(rewrite, perm, pool):
    back = [perm.index(axis) for axis in range(4)]
    text = f"""{HEAD}
    agraph (float[N,8,9,10] x) => (float[N,C,H,W] y) {{
        t = Transpose<perm={perm}>(x)
        p = MaxPool<{pool}>(t)
        y = Transpose<perm={back}>(p)
    }}"""
    found = rewrite(text, Legalize())
    assert "Transpose" not in found.ops
    assert found.ops[-1] == "MaxPool"


def test_transposed_pool_that_is_not_transposed_back(rewrite):
    text = f"""{HEAD}
    agraph (float[1,8,9,10] x) => (float[1,9,4,8] y) {{
        t = Transpose<perm=[0,2,1,3]>(x)
        y = MaxPool<kernel_shape=[1,3], strides=[2,1]>(t)
    }}"""
    assert rewrite(text, Legalize()).reasons == ["not transposed back"]


def test_a_spatial_transpose_is_no_candidate(rewrite):
    text = f"""{HEAD}
    agraph (float[1,8,9,10] x) => (float[1,8,7,8] y) {{
        t = Transpose<perm=[0,1,3,2]>(x)
        p = MaxPool<kernel_shape=[3,3]>(t)
        y = Transpose<perm=[0,1,3,2]>(p)
    }}"""
    found = rewrite(text, Legalize())
    assert not found.context.rewrites
    assert not found.reasons


def test_old_opsets_are_left_alone(rewrite):
    text = """<ir_version: 7, opset_import: ["" : 12]>
    agraph (float[1,8,9,10] x) => (float[1,4,9,8] y) {
        t = Transpose<perm=[0,2,1,3]>(x)
        p = MaxPool<kernel_shape=[1,3], strides=[2,1]>(t)
        y = Transpose<perm=[0,2,1,3]>(p)
    }"""
    assert rewrite(text, Legalize(), runs=False).reasons == ["opset is below 13"]
