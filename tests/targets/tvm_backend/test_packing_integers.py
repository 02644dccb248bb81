"""Quantised graphs are computed in integers, at most one step from ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

pytest.importorskip("tvm")
import tvm
from tvm_packing import compared, graph, native, packed, random_inputs, target

from lprc.targets.tvm_backend.machine import Machine

SCALES = """
    float sx = {0.0157}, uint8 zx = {128}, int8 sym = {0}, float sy = {0.05}, uint8 zy = {100},
    int8 zi = {-20}
"""
STEP = 0.05


def conv(kernel="3,3", attributes="pads = [1,1,1,1]", *, c=6, o=20, groups=1, zero="zx", out="y"):
    """Float in and out, and between them a Conv of dequantised integers."""
    height, width = kernel.split(",")
    return f"""
    one (float[2,{c},7,9] x) => (float[a,b,d,e] {out})
    <{SCALES}, int8[{o},{c // groups},{height},{width}] w, float[{o}] sw, int8[{o}] zw, float[{o}] b>
    {{
        xq = QuantizeLinear (x, sx, {zero})
        xf = DequantizeLinear (xq, sx, {zero})
        wf = DequantizeLinear <axis = 0> (w, sw, zw)
        c = Conv <group = {groups}, {attributes}> (xf, wf, b)
        r = Relu (c)
        q = QuantizeLinear (r, sy, zy)
        y = DequantizeLinear (q, sy, zy)
    }}
    """


def model(text, zeros=0):
    """Weights of a symmetric scale of each channel."""
    made = graph(text)
    for each in made.graph.initializer:
        if each.name in ("sw", "sv"):
            count = each.dims[0]
            values = np.linspace(0.001, 0.004, count, dtype=np.float32)
            each.CopyFrom(numpy_helper.from_array(values, each.name))
        elif each.name in ("zw", "zv"):
            each.CopyFrom(numpy_helper.from_array(np.full(each.dims[0], zeros, np.int8), each.name))
    return made


CASES = {
    "same": conv(),
    "signed": conv(zero="sym"),
    "pixel": conv("1,1", "strides = [1,1]", c=32, o=8),
    "strided": conv("3,3", "strides = [2,3], pads = [0,1,2,0]"),
    "dilated": conv("2,3", "dilations = [2,2]"),
    "grouped": conv(c=8, o=16, groups=2),
    "many groups": conv(c=16, o=32, groups=8),
    "a block that is not full": conv(c=42, o=21, groups=21),
    "depthwise": conv(c=20, o=20, groups=20),
    "depthwise, signed": conv(c=32, o=32, groups=32, zero="sym"),
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_convolutions(text):
    made = compared(model(text), within=STEP * 1.01)
    assert not made.plain
    assert {"integer_conv", "integer_depthwise"} & set(made.kinds)
    assert not {"conv", "depthwise"} & set(made.kinds)
    assert "int32" in made.module.script()


@pytest.mark.parametrize("text", CASES.values(), ids=CASES)
def test_without_a_dot_product(text):
    """On any CPU, and the same to the last bit."""
    at = target("x86-64")
    made = compared(model(text), within=STEP * 1.01, at=at)
    assert not made.plain
    assert "conv" not in made.kinds


def test_weights_that_are_no_int8_less_their_zero_point_stay_float():
    made = compared(model(conv(), zeros=100), within=STEP * 1.01)
    assert not made.plain
    assert "conv" in made.kinds


def test_every_arithmetic_agrees():
    """The sums are exact: with and without the dot product, the results are equal."""
    if not native("avx512vnni"):
        pytest.skip("this CPU has no AVX-512 VNNI")
    source = model(conv(c=19, o=33))
    inputs = random_inputs(source)
    plain = Machine(16, 32, "none", 1)
    first, second = packed(source).run(inputs), packed(source, machine=plain).run(inputs)
    np.testing.assert_array_equal(first[0], second[0])


def test_vnni_multiplies_four_bytes_at_once():
    made = packed(model(conv(c=32, o=32)), target("cascadelake"))
    assert "vpdpbusd" in assembly(made)
    without = packed(model(conv(c=32, o=32)), target("skylake-avx512"))
    assert "vpdpbusd" not in assembly(without)


def assembly(made):
    modules, found = [made.executable.mod], ""
    while modules:
        module = modules.pop()
        modules += list(module.imports)
        if module.kind == "llvm":
            found += module.inspect_source("asm")
    assert found
    return found


def test_between_convolutions_everything_stays_integer():
    """A residual Add, a MaxPool, a Concat and a Slice: nothing but quantised numbers in memory."""
    made = compared(
        model(f"""
        several (float[1,16,8,8] x) => (float[1,32,4,4] y)
        <{SCALES}, int8[16,16,1,1] w, float[16] sw, int8[16] zw,
         int8[32,24,1,1] v, float[32] sv, int8[32] zv,
         int64[1] zero = {{0}}, int64[1] eight = {{8}}, int64[1] one = {{1}}>
        {{
            xq = QuantizeLinear (x, sx, zx)
            xf = DequantizeLinear (xq, sx, zx)
            wf = DequantizeLinear <axis = 0> (w, sw, zw)
            c = Conv (xf, wf)
            cq = QuantizeLinear (c, sy, zi)
            cf = DequantizeLinear (cq, sy, zi)
            s = Add (cf, xf)
            r = Relu (s)
            rq = QuantizeLinear (r, sy, zi)
            rf = DequantizeLinear (rq, sy, zi)
            m = MaxPool <kernel_shape = [2,2], strides = [2,2]> (rf)
            n = MaxPool <kernel_shape = [2,2], strides = [2,2]> (cf)
            h = Slice (n, zero, eight, one)
            j = Concat <axis = 1> (h, m)
            vf = DequantizeLinear <axis = 0> (v, sv, zv)
            y = Conv (j, vf)
        }}
        """),
        within=0.03,
    )
    assert not made.plain
    kernels = [
        each for variable, each in made.module.functions_items() if variable.name_hint != "main"
    ]
    stored = [str(each.params[-1].ty.dtype) for each in kernels]
    assert sorted(set(stored)) == ["float32", "uint8"]
    assert stored.count("float32") <= 2, "the last Conv and its ONNX layout"


def test_sums_of_integers_in_average_pools():
    made = compared(
        graph(f"""
        mean (float[1,5,8,8] x) => (float[1,5,4,4] y, float[1,5,1,1] z)
        <{SCALES}>
        {{
            xq = QuantizeLinear (x, sx, zx)
            xf = DequantizeLinear (xq, sx, zx)
            y = AveragePool <kernel_shape = [3,3], strides = [2,2], pads = [1,1,1,1]> (xf)
            z = GlobalAveragePool (xf)
        }}
        """),
        within=1e-5,
    )
    assert not made.plain


def test_a_quantised_head():
    made = compared(
        model(f"""
        head (float[2,20] x) => (float[2,9] y)
        <{SCALES}, int8[20,9] w, float[9] sw, int8[9] zw, float[9] b>
        {{
            xq = QuantizeLinear (x, sx, zx)
            xf = DequantizeLinear (xq, sx, zx)
            wf = DequantizeLinear <axis = 1> (w, sw, zw)
            m = MatMul (xf, wf)
            y = Add (m, b)
        }}
        """)
    )
    assert not made.plain
    assert "integer_conv" in made.kinds


def test_a_quantised_transposed_convolution():
    made = compared(
        model(f"""
        up (float[1,6,4,5] x) => (float[1,3,8,10] y)
        <{SCALES}, int8[6,3,4,4] w, float[3] sw, int8[3] zw>
        {{
            xq = QuantizeLinear (x, sx, zx)
            xf = DequantizeLinear (xq, sx, zx)
            wf = DequantizeLinear <axis = 1> (w, sw, zw)
            y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (xf, wf)
        }}
        """)
    )
    assert not made.plain
    assert "integer_conv" in made.kinds


@pytest.mark.parametrize(("kind", "zero"), [("uint8", "zx"), ("int8", "zi")])
def test_integers_that_are_read_as_such(kind, zero):
    """By an output, by an operator without a kernel, and with another scale."""
    compared(
        graph(f"""
        ends (float[1,5,4,4] x) => ({kind}[1,5,4,4] q, {kind}[1,5,2,8] r, float[1,5,4,4] y)
        <{SCALES}, int64[4] shape = {{1,5,2,8}}, {kind} other = {{3}}>
        {{
            q = QuantizeLinear (x, sx, {zero})
            r = Reshape (q, shape)
            y = DequantizeLinear (q, sy, other)
        }}
        """),
        within=0.0041,
    )


def test_aarch64_has_the_same_kernels():
    at = tvm.target.Target(
        {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72", "mattr": ["+neon"]}
    )
    made = packed(model(conv(c=32, o=32)), at)
    assert not made.plain
    assert "mla" in assembly(made)
