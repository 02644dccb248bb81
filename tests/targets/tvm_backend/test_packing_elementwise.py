"""What is computed element by element, broadcast, sliced and joined in lprc's layout."""

from __future__ import annotations

import pytest

pytest.importorskip("tvm")
from tvm_packing import compared

FUNCTIONS = {
    "Relu": "Relu (a)",
    "Relu6": "Clip (a, zero, six)",
    "half open Clip": "Clip (a, zero)",
    "LeakyRelu": "LeakyRelu <alpha = 0.2> (a)",
    "PRelu": "PRelu (a, slope)",
    "PRelu with one slope": "PRelu (a, third)",
    "Sigmoid": "Sigmoid (a)",
    "Tanh": "Tanh (a)",
    "HardSwish": "HardSwish (a)",
    "HardSigmoid": "HardSigmoid <alpha = 0.3> (a)",
    "Neg": "Neg (a)",
    "Abs": "Abs (a)",
    "scale": "Mul (a, slope)",
    "from a constant": "Sub (third, a)",
    "by columns": "Add (a, columns)",
    "by everything": "Mul (a, all)",
}


@pytest.mark.parametrize("call", FUNCTIONS.values(), ids=FUNCTIONS)
def test_of_one_activation(call):
    made = compared(f"""
    one (float[2,4,3,5] x) => (float[2,18,3,5] y)
    <float[18,4,1,1] w, float[18,1,1] slope, float zero = {{0}}, float six = {{6}},
     float[1] third = {{0.3333}}, float[5] columns, float[1,18,3,5] all>
    {{
        a = Conv (x, w)
        y = {call}
    }}
    """)
    assert not made.plain
    assert made.kinds == ["conv", "unpack"]


@pytest.mark.parametrize("operator", ["Softmax", "Erf", "Exp", "Sqrt"])
def test_others_stay_right(operator):
    made = compared(f"""
    one (float[1,4,3,5] x) => (float[1,18,3,5] y)
    <float[18,4,1,1] w, float[18,18,1,1] v>
    {{
        a = Conv (x, w)
        b = Abs (a)
        c = {operator} (b)
        y = Conv (c, v)
    }}
    """)
    assert made.plain


SECONDS = {
    "same shape": "Conv (x, v)",
    "each channel": "GlobalAveragePool (a)",
    "each row": "ReduceMean (a, rows)",
    "each image": "ReduceMean (a, all)",
    "each column of an input": "Relu (s)",
}


@pytest.mark.parametrize("operator", ["Sub", "Div"])
@pytest.mark.parametrize("second", SECONDS.values(), ids=SECONDS)
def test_of_two_activations(operator, second):
    compared(f"""
    two (float[2,4,3,37] x, float[2,1,1,37] s) => (float[2,18,3,37] y)
    <float[18,4,1,1] w, float[18,4,1,1] v, int64[1] rows = {{3}}, int64[3] all = {{1,2,3}},
     float three = {{3}}>
    {{
        a = Conv (x, w)
        b = {second}
        c = Abs (b)
        d = Add (c, three)
        y = {operator} (a, d)
    }}
    """)


def test_squeeze_and_excitation_is_all_packed():
    made = compared("""
    two (float[2,4,6,6] x) => (float[2,18,6,6] y)
    <float[18,4,1,1] w, float[5,18,1,1] s, float[18,5,1,1] e>
    {
        a = Conv (x, w)
        h = HardSwish (a)
        p = GlobalAveragePool (h)
        q = Conv (p, s)
        r = Relu (q)
        t = Conv (r, e)
        g = HardSigmoid (t)
        y = Mul (h, g)
    }
    """)
    assert not made.plain


def test_divided_channels_that_are_read_as_such():
    made = compared("""
    view (float[2,4,6,4] x) => (float[2,2,9,6,4] y, float[2,9,2,6,4] z, float[2,18,6,4] r)
    <float[18,4,1,1] w, int64[5] halves = {2,2,9,6,4}, float two = {2}>
    {
        a = Conv (x, w)
        y = Reshape (a, halves)
        t = Transpose <perm = [0,2,1,3,4]> (y)
        z = Mul (t, two)
        r = Relu (a)
    }
    """)
    assert made.plain == ["multiply 2x9x2x6x4"]


VIEWS = {
    "aligned Slice": "Slice (a, sixteen, most, one)",
    "Slice": "Slice (a, three, thirty, one)",
    "every second channel": "Slice (a, zero, most, one, two)",
    "every second column": "Slice (a, one, most, last, two)",
    "rows": "Slice (a, one, two, rows)",
    "Concat": "Concat <axis = 1> (a, b)",
    "Concat with odd ones": "Concat <axis = 1> (c, a, c)",
    "Concat with an input": "Concat <axis = 1> (x, a)",
    "Resize": 'Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", '
    'nearest_mode = "floor"> (a, , scales)',
    "Resize, half pixels": 'Resize <mode = "nearest"> (a, , scales)',
    "linear Resize": 'Resize <mode = "linear"> (a, , scales)',
    "Transpose": "Transpose <perm = [0,1,3,2]> (a)",
    "shuffled channels": "Reshape (shuffled, whole)",
}


@pytest.mark.parametrize("call", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("read", ["conv", "output"])
def test_views(call, read):
    """Read by a convolution, and as it is."""
    last = {"conv": "Conv <pads = [0,1,0,1]> (v, k)", "output": "Identity (v)"}
    channels = channels_of(call)
    made = compared(f"""
    view (float[2,4,6,4] x) => (float[a,b,c,d] y)
    <float[34,4,1,1] w, float[16,4,1,1] u, float[3,4,1,1] t, float[7,{channels},1,3] k,
     int64[1] zero = {{0}}, int64[1] one = {{1}}, int64[1] two = {{2}}, int64[1] three = {{3}},
     int64[1] rows = {{2}}, int64[1] last = {{3}}, int64[1] sixteen = {{16}},
     int64[1] thirty = {{30}}, int64[1] most = {{1000}}, float[4] scales = {{1,1,2,3}},
     int64[5] halves = {{2,2,17,6,4}}, int64[4] whole = {{2,34,6,4}}>
    {{
        a = Conv (x, w)
        b = Conv (x, u)
        c = Conv (x, t)
        split = Reshape (a, halves)
        shuffled = Transpose <perm = [0,2,1,3,4]> (split)
        v = {call}
        y = {last[read]}
    }}
    """)
    assert not any(each.startswith("conv") for each in made.plain)


def channels_of(call):
    known = {
        "(a, sixteen": 18, "(a, three": 27, "(a, zero": 17, "(a, b)": 50, "(c, a, c)": 40,
        "(x, a)": 38,
    }  # fmt: skip
    return next((count for part, count in known.items() if part in call), 34)


def test_split_and_readers_of_both_kinds():
    """Packed and plain readers, an output that is read inside, and one that is an input."""
    made = compared("""
    several (float[1,24,4,4] x, float[1,3,2,2] z) =>
        (float[1,10,4,4] p, float[1,20,4,4] a, float[1,20,4,4] s, float[1,3,2,2] same)
    <float[20,24,1,1] w, float[10,10,3,3] v>
    {
        a = Conv (x, w)
        b, c = Split <axis = 1, num_outputs = 2> (a)
        e = Conv <pads = [1,1,1,1]> (c, v)
        p = Add (e, b)
        f = Concat <axis = 1> (b, e)
        s = Softmax <axis = 1> (f)
        same = Identity (z)
    }
    """)
    assert made.plain == ["softmax 1x20x4x4"]


def test_a_scalar_that_stands_behind_what_is_not_packed_stays_a_scalar():
    made = compared("""
    one (float[1,4] x, float[1,4,2,2] image) => (float[1,1] y, float[1,18,2,2] z)
    <float[18,4,1,1] w, float least = {0.001}, int64[1] one = {1}>
    {
        z = Conv (image, w)
        length = ReduceL2 <keepdims = 1> (x, one)
        y = Clip (length, least)
    }
    """)
    assert "conv" in made.kinds
