"""Small packed modules to tune, and candidates that go wrong, without a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("tvm.s_tir", reason="apache-tvm is not installed")

import tvm
from tvm import relax, te, tirx
from tvm.target import Target, codegen

from lprc.targets.tvm_backend.database import target_document
from lprc.targets.tvm_backend.kernels.convolution import convolution
from lprc.targets.tvm_backend.kernels.windows import Window, padded
from lprc.targets.tvm_backend.machine import BLOCK
from lprc.targets.tvm_backend.measuring_pool import Candidate


def this_machine(threads: int = 1) -> Any:
    return Target({"kind": "llvm", "mcpu": codegen.llvm_get_system_cpu(), "num-cores": threads})


def conv_function(height: int = 6, width: int = 8, channels: int = 16) -> Any:
    """A 3x3 convolution with ReLU, as many channels out as in: (data, weight, bias, result)."""
    shape = (1, height, width, channels)
    window = Window((3, 3), pads=(1, 1, 1, 1))
    data = te.placeholder(shape, "float32", name="data")
    weight = te.placeholder((channels // BLOCK, 3, 3, channels, BLOCK), "float32", name="weight")
    bias = te.placeholder((channels,), "float32", name="bias")
    zero = tirx.const(0.0, "float32")
    pad = padded(lambda *at: data[at], shape[:3], window, (height, width), channels, zero)
    groups = (channels // BLOCK, 0)
    acc = convolution(lambda *at: pad[at], weight, shape[:3], window, groups)
    out = te.compute(shape, lambda *at: tirx.max(acc[at] + bias[at[-1]], zero), name="out")
    return te.create_prim_func([data, weight, bias, out]).with_attr("lprc.kind", "conv")


def relu_function(height: int = 6, width: int = 8, channels: int = 64) -> Any:
    data = te.placeholder((1, height, width, channels), "float32", name="data")
    zero = tirx.const(0.0, "float32")
    out = te.compute(data.shape, lambda *at: tirx.max(data[at], zero), name="out")
    return te.create_prim_func([data, out]).with_attr("lprc.kind", "elementwise")


def module_of(*calls: tuple[str, Any]) -> Any:
    """A Relax module that calls functions, each on its own input, and returns all results.

    Args:
        calls: Name and PrimFunc; the same name again calls the same function again.
    """
    builder = relax.BlockBuilder()
    inputs = [
        relax.Var(f"data{i}", relax.TensorType(_shapes(function)[0], "float32"))
        for i, (_, function) in enumerate(calls)
    ]
    variables: dict[str, Any] = {}
    with builder.function("main", inputs):
        results = []
        for data, (name, function) in zip(inputs, calls, strict=True):
            if name not in variables:
                variables[name] = builder.add_func(function.with_attr("global_symbol", name), name)
            shapes = _shapes(function)
            weights = [relax.const(np.ones(shape, "float32")) for shape in shapes[1:-1]]
            call = relax.call_tir(
                variables[name], [data, *weights], relax.TensorType(shapes[-1], "float32")
            )
            results.append(builder.emit(call))
        builder.emit_func_output(relax.Tuple(results))
    return builder.get()


def calling(function: str, argument: int) -> Candidate:
    """A candidate whose loop calls a function of the C library: ``abort``, ``sleep``."""
    data = te.placeholder((16,), "float32", name="data")
    call = tirx.call_extern("int32", function, tirx.const(argument, "int32"))
    out = te.compute((16,), lambda i: data[i] + call.astype("float32"), name="out")
    made = te.create_prim_func([data, out]).with_attr("global_symbol", "main")
    arguments = [([16], "float32")] * 2
    text = tvm.ir.save_json(tvm.IRModule({"main": made}))
    return Candidate(text, target_document(this_machine()), arguments)


def _shapes(function: Any) -> list[list[int]]:
    return [[int(size) for size in each.ty.shape] for each in function.params]
