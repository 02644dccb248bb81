"""Pools and reductions in lprc's layout."""

from __future__ import annotations

import pytest

pytest.importorskip("tvm")
from tvm_packing import compared

FORMS = {
    "plain": ("kernel_shape = [2,2], strides = [2,2]", (4, 5)),
    "overlapping": ("kernel_shape = [3,3]", (7, 8)),
    "pads": ("kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]", (5, 5)),
    "asymmetric": ("kernel_shape = [2,3], pads = [1,0,0,2]", (9, 10)),
    "ceil": ("kernel_shape = [3,3], strides = [2,2], ceil_mode = 1", (4, 5)),
    "ceil with pads": (
        "kernel_shape = [3,2], strides = [2,3], pads = [1,1,1,1], ceil_mode = 1", (5, 5)
    ),
}  # fmt: skip


def pool(operator, attributes, outputs):
    height, width = outputs
    return f"""
    pool (float[2,20,9,10] x) => (float[2,20,{height},{width}] y)
    <float[20,20,1,1] w>
    {{
        a = Conv (x, w)
        y = {operator} <{attributes}> (a)
    }}
    """


@pytest.mark.parametrize(("attributes", "outputs"), FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_pools(operator, attributes, outputs):
    made = compared(pool(operator, attributes, outputs))
    assert not made.plain
    assert "pool" in made.kinds


@pytest.mark.parametrize("form", ["pads", "asymmetric", "ceil", "ceil with pads"])
def test_padding_that_counts(form):
    attributes, outputs = FORMS[form]
    assert not compared(pool("AveragePool", f"{attributes}, count_include_pad = 1", outputs)).plain


def test_maxima_of_dilated_windows():
    attributes = "kernel_shape = [3,3], dilations = [2,3], pads = [1,2,1,2]"
    assert not compared(pool("MaxPool", attributes, (7, 8))).plain


def test_maxima_of_negative_numbers_with_padding():
    made = compared("""
    pool (float[1,4,4,4] x) => (float[1,4,4,4] y)
    <float minus_nine = {-9}>
    {
        a = Add (x, minus_nine)
        y = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1]> (a)
    }
    """)
    assert "pool" in made.kinds


REDUCTIONS = {
    "rows": ("ReduceMean", [2], 1, "2,20,1,8"),
    "columns": ("ReduceMean", [-1], 1, "2,20,6,1"),
    "both": ("ReduceMean", [2, 3], 0, "2,20"),
    "images": ("ReduceMean", [1, 2, 3], 1, "2,1,1,1"),
    "sums": ("ReduceSum", [2, 3], 1, "2,20,1,1"),
    "maxima": ("ReduceMax", [2, 3], 1, "2,20,1,1"),
}


@pytest.mark.parametrize("case", REDUCTIONS.values(), ids=REDUCTIONS)
def test_reductions(case):
    operator, axes, keeps, shape = case
    made = compared(f"""
    reduction (float[2,4,6,8] x) => (float[{shape}] y)
    <float[20,4,1,1] w, int64[{len(axes)}] axes = {{{",".join(map(str, axes))}}}>
    {{
        a = Conv (x, w)
        b = Sigmoid (a)
        y = {operator} <keepdims = {keeps}> (b, axes)
    }}
    """)
    assert not made.plain


def test_over_channels_it_stays_right():
    made = compared("""
    reduction (float[2,4,6,8] x) => (float[2,1,6,8] y)
    <float[20,4,1,1] w, int64[1] axes = {1}>
    {
        a = Conv (x, w)
        y = ReduceMean (a, axes)
    }
    """)
    assert made.plain == ["mean 2x1x6x8"]


def test_channels_without_a_meaning_are_not_summed():
    """Sigmoid makes 0.5 of the zeros in them, and 0 / 0 would make NaN."""
    made = compared("""
    reduction (float[1,4,6,8] x) => (float[1,3,6,8] y)
    <float[5,4,1,1] w, int64[3] axes = {1,2,3}, int64[1] one = {1}, int64[1] four = {4},
     float[3,3,1,1] v>
    {
        a = Conv (x, w)
        b = Sigmoid (a)
        c = Slice (b, one, four, one)
        m = ReduceMean (c, axes)
        d = Div (c, m)
        z = Mul (d, d)
        e = Div (z, d)
        y = Conv (e, v)
    }
    """)
    assert not made.plain
