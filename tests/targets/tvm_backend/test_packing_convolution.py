"""Convolutions of all forms in lprc's layout."""

from __future__ import annotations

import pytest

pytest.importorskip("tvm")
from tvm_packing import compared


def conv(c, o, h, w, kernel, attributes="", *, groups=1, n=1, out=None):
    """A Conv with bias and the shape that ONNX gives its result."""
    return f"""
    one (float[{n},{c},{h},{w}] x) => (float[{n},{o},{out[0]},{out[1]}] y)
    <float[{o},{c // groups},{kernel[0]},{kernel[1]}] w, float[{o}] b>
    {{ y = Conv <group = {groups}{", " if attributes else ""}{attributes}> (x, w, b) }}
    """


CASES = {
    "same": conv(16, 16, 6, 8, (3, 3), "pads = [1,1,1,1]", out=(6, 8)),
    "pixel": conv(24, 40, 5, 6, (1, 1), out=(5, 6)),
    "batch": conv(5, 7, 6, 6, (3, 3), "pads = [1,1,1,1]", n=3, out=(6, 6)),
    "strided": conv(3, 20, 9, 11, (3, 3), "strides = [2,3], pads = [1,1,1,1]", out=(5, 4)),
    "dilated": conv(4, 8, 11, 11, (3, 3), "dilations = [2,3], pads = [2,3,2,3]", out=(11, 11)),
    "asymmetric": conv(4, 8, 6, 6, (2, 4), "pads = [1,0,0,3]", out=(6, 6)),
    "few channels": conv(1, 3, 6, 6, (3, 3), out=(4, 4)),
    "prime width": conv(8, 16, 3, 37, (1, 3), "pads = [0,1,0,1]", out=(3, 37)),
    "prime width, pixel": conv(16, 32, 2, 41, (1, 1), out=(2, 41)),
    "row": conv(16, 16, 1, 12, (1, 3), "pads = [0,1,0,1]", out=(1, 12)),
    "column": conv(16, 16, 12, 1, (3, 1), "pads = [1,0,1,0]", out=(12, 1)),
    "many weights": conv(256, 128, 4, 4, (3, 3), "pads = [1,1,1,1]", out=(4, 4)),
    "grouped": conv(8, 12, 5, 5, (3, 3), "pads = [1,1,1,1]", groups=2, out=(5, 5)),
    "groups of blocks": conv(32, 64, 5, 5, (1, 1), groups=2, out=(5, 5)),
    "groups in a block": conv(24, 32, 5, 5, (3, 3), groups=8, out=(3, 3)),
    "fewer outputs than a block": conv(40, 2, 5, 5, (1, 1), groups=2, out=(5, 5)),
    "a block that is not full": conv(48, 24, 5, 5, (3, 3), groups=24, out=(3, 3)),
    "depthwise": conv(20, 20, 7, 9, (3, 3), "pads = [1,1,1,1]", groups=20, out=(7, 9)),
    "depthwise, strided": conv(
        32, 32, 9, 9, (5, 5), "pads = [2,2,2,2], strides = [2,2]", groups=32, out=(5, 5)
    ),
    "depthwise, dilated": conv(8, 8, 9, 9, (3, 3), "dilations = [2,2]", groups=8, n=2, out=(5, 5)),
    "channel multiplier": conv(6, 18, 5, 5, (3, 3), groups=6, out=(3, 3)),
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_float(text):
    made = compared(text)
    assert not made.plain
    assert {"conv", "depthwise"} & set(made.kinds)


def test_automatic_padding_is_a_pad_before_it():
    made = compared(
        conv(4, 8, 7, 7, (3, 3), 'auto_pad = "SAME_UPPER", strides = [2,2]', out=(4, 4))
    )
    assert made.plain == ["pad 1x4x9x9"]


TRANSPOSED = {
    "2x2": ("strides = [2,2]", 2, 2, (8, 10)),
    "4x4 with pads": ("strides = [2,2], pads = [1,1,1,1]", 4, 4, (8, 10)),
    "3x3 with output padding": (
        "strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]", 3, 3, (8, 10)
    ),
    "kernel below stride": ("strides = [3,3]", 2, 2, (11, 14)),
    "stride 1": ("pads = [1,0,0,1]", 3, 2, (5, 5)),
    "2x3, strides 1x3": ("strides = [1,3], pads = [0,1,1,0]", 2, 3, (4, 14)),
}  # fmt: skip


@pytest.mark.parametrize("case", TRANSPOSED.values(), ids=TRANSPOSED)
def test_transposed(case):
    attributes, rows, columns, (height, width) = case
    made = compared(f"""
    up (float[2,5,4,5] x) => (float[2,3,{height},{width}] y)
    <float[5,3,{rows},{columns}] w, float[3] b>
    {{
        a = ConvTranspose <{attributes}> (x, w, b)
        y = Relu (a)
    }}
    """)
    assert not made.plain


def test_what_has_no_kernel_stays_right():
    made = compared("""
    odd (float[1,8,6,6] x, float[8,8,3,3] w) => (float[1,8,4,4] z, float[1,4,8,8] y)
    <float[8,8,1,1] v, float[8,2,3,3] t>
    {
        a = Conv (x, v)
        b = Conv (a, w)
        z = Conv (b, v)
        y = ConvTranspose <group = 2> (a, t)
    }
    """)
    assert made.plain == ["conv2d 1x8x4x4", "conv2d_transpose 1x4x8x8"]
    assert "conv" in made.kinds


def test_a_head_of_gemms():
    made = compared("""
    head (float[3,20,4,4] x) => (float[3,5] y)
    <float[20,20,1,1] k, float[33,20] w, float[33] b, float[33,5] v, float[5] c>
    {
        a = Conv (x, k)
        p = GlobalAveragePool (a)
        f = Flatten (p)
        g = Gemm <transB = 1> (f, w, b)
        r = Relu (g)
        m = MatMul (r, v)
        y = Add (m, c)
    }
    """)
    assert not made.plain
    assert made.kinds == ["conv", "elementwise", "pool"]
