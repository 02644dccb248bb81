"""What the templates take from the target, and schedules for threads."""

from __future__ import annotations

import pytest

pytest.importorskip("tvm")
import numpy as np
import tvm
from tvm.relax.frontend.onnx import from_onnx
from tvm.s_tir import Schedule
from tvm_packing import compared, graph, packed, target

from lprc.core.process.exchange import Failure
from lprc.targets.tvm_backend import packing, schedules
from lprc.targets.tvm_backend.machine import Machine, find_target
from lprc.targets.tvm_backend.parameters import ConvolutionParameters

NETWORK = """
    net (float[2,3,13,37] x) => (float[2,40,5,17] y)
    <float[40,3,3,3] w, float[40] b, float[40,1,3,3] d, float[40,40,1,1] v>
    {
        a = Conv <strides = [2,2]> (x, w, b)
        r = LeakyRelu (a)
        e = Conv <group = 40, pads = [1,1,1,1]> (r, d)
        s = Sigmoid (e)
        p = AveragePool <kernel_shape = [2,2]> (s)
        y = Conv (p, v)
    }
"""


def test_machines():
    features = {
        "znver4": (16, 32, "vnni"),
        "cascadelake": (16, 32, "vnni"),
        "skylake-avx512": (16, 32, "none"),
        "haswell": (8, 16, "none"),
        "x86-64": (4, 16, "none"),
    }
    for mcpu, (lanes, registers, dot) in features.items():
        assert Machine.of_target(target(mcpu, threads=3)) == Machine(lanes, registers, dot, 3)


def test_the_current_target_is_the_machine():
    assert Machine.current() == Machine()
    with target("haswell", threads=2):
        assert Machine.current() == Machine(8, 16, "none", 2)


@pytest.mark.parametrize("mcpu", ["x86-64", "haswell", None])
@pytest.mark.parametrize("threads", [1, 2])
def test_other_registers_and_threads(mcpu, threads):
    compared(NETWORK, at=target(mcpu, threads))


@pytest.mark.parametrize("order", ["rows", "rows-blocks", "blocks"])
@pytest.mark.parametrize("pad", ["chunk", "whole"])
def test_every_order_computes_the_same(order, pad):
    model = graph("""
    one (float[1,32,6,8] x) => (float[1,64,6,8] y)
    <float[64,32,3,3] w>
    { y = Conv <pads = [1,1,1,1]> (x, w) }
    """)
    module = packed(model).module
    function = next(f for _, f in module.functions_items() if is_conv(f))
    bare = unscheduled(model)
    parameters = ConvolutionParameters(4, 2, 2, order=order, pad=pad)
    schedule = Schedule(tvm.IRModule({"main": bare}))
    schedules.apply(schedule, "conv", parameters, 2)
    assert results(schedule.mod["main"]) == pytest.approx(results(function), abs=1e-4)


def is_conv(function):
    kind = schedules.kind_of(function)
    return kind is not None and kind.name == "conv"


def unscheduled(model):
    module, _ = packing.pack(from_onnx(model), Machine(16, 32, "vnni", 1))
    return next(f for _, f in module.functions_items() if is_conv(f))


def results(function):
    generator = np.random.default_rng(0)
    arrays = [
        tvm.runtime.tensor(
            generator.standard_normal([int(k) for k in each.ty.shape]).astype(np.float32)
        )
        for each in function.params
    ]
    library = tvm.compile(
        tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), target=target()
    )
    library["main"](*arrays)
    return arrays[-1].numpy()


def test_chosen_parameters_are_taken():
    model = graph("""
    one (float[1,16,6,8] x) => (float[1,16,6,8] y)
    <float[16,16,3,3] w>
    { y = Conv <pads = [1,1,1,1]> (x, w) }
    """)
    machine = Machine(16, 32, "vnni", 1)
    module, _ = packing.pack(from_onnx(model), machine)
    (name,) = (v.name_hint for v, f in module.functions_items() if is_conv(f))
    chosen = {name: ConvolutionParameters(2, 1, 3)}
    texts = [
        schedules.schedule_module(module, 1, each, machine)[name].script() for each in ({}, chosen)
    ]
    assert texts[0] != texts[1]
    rows = {row["name"]: row for row in schedules.described(module, chosen, machine)}
    assert rows[name]["tuned"]
    assert rows[name]["parameters"]["columns"] == 2
    assert not any(row["tuned"] for other, row in rows.items() if other != name)
    twice = schedules.schedule_module(
        schedules.schedule_module(module, 1, {}, machine), 1, chosen, machine
    )
    assert twice[name].script() == texts[0], "what is scheduled is left alone"


REQUEST = {"mcpu": "auto", "mattr": [], "triple": "auto", "num_cores": None}


def test_targets_of_requests():
    assert int(find_target({**REQUEST, "num_cores": 3}).attrs["num-cores"]) == 3
    crossed = find_target({**REQUEST, "triple": "aarch64-linux-gnu", "mcpu": "cortex-a72"})
    assert Machine.of_target(crossed).lanes == 4


def test_unknown_cpus_are_refused():
    with pytest.raises(Failure, match="LLVM knows no CPU 'pentium-9'") as caught:
        find_target({**REQUEST, "mcpu": "pentium-9"})
    assert caught.value.option == "mcpu"
