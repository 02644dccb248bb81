"""Operators that work element by element: computed in the kernel of the operator before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import tvm
from tvm import relax, tirx
from tvm.ir.expr import TensorLoad
from tvm.s_tir import Schedule

from lprc.targets.tvm_backend.kernels import functions
from lprc.targets.tvm_backend.kernels.functions import number
from lprc.targets.tvm_backend.kernels.windows import Read
from lprc.targets.tvm_backend.packed import (
    Packed,
    Plain,
    Shape,
    Value,
    merged,
    of_tensors,
    picked,
)
from lprc.targets.tvm_backend.packing.expressions import dtype_of, shape_of
from lprc.targets.tvm_backend.packing.layouts import alive, constant, spread
from lprc.targets.tvm_backend.packing.packer import Handler, Packer

Function = Callable[..., Any]


def unary(value: Packed, function: Function) -> Packed:
    """`function` of each number."""

    def read(tensors: Sequence[Any], root: Read | None) -> Read:
        inner = value.floats(tensors, root)
        return lambda *at: function(inner(*at))

    return replace(value, read=read, quantisation=None, columns=None, cheap=False)


def combined(
    packer: Packer, first: Packed, second: Packed, function: Function, *, divides: bool = False
) -> Packed | None:
    """`function` of the numbers of two activations, broadcast against each other."""
    shape = _broadcast(first.shape, second.shape)
    if shape is None or first.rank != second.rank:
        return None
    if first.root is not None and second.root is not None and first.root is not second.root:
        second = packer.stored(second)
    pair = [operand if operand.root is None or operand.shape == shape else packer.stored(operand)
            for operand in (first, second)]  # fmt: skip
    first, second = pair
    like = next((operand for operand in pair if operand.root is not None), None)
    like = like or next((operand for operand in pair if operand.shape == shape), None)
    like = like or next((operand for operand in pair if operand.shape[1] == shape[1]), None)
    assert like is not None
    laid = [
        operand
        if operand.root is not None or (operand is like and operand.shape == shape)
        else spread(packer, operand, like, shape)
        for operand in pair
    ]
    if any(operand.channels != like.channels for operand in laid):
        return None
    sources, rows = merged(laid)

    def read(tensors: Sequence[Any], root: Read | None) -> Read:
        inner = [
            operand.floats(picked(tensors, row), root)
            for operand, row in zip(laid, rows, strict=True)
        ]

        def at(i: Any, y: Any, x: Any, c: Any) -> Any:
            left, right = (operand_read(i, y, x, c) for operand_read in inner)
            if divides and second.shape[1] > 1:
                inside = alive(like, c)
                if inside is not None:  # 0 / 0 would be NaN, and NaN * 0 too
                    right = tirx.Select(inside, right, number(1.0))
            return function(left, right)

        return at

    return replace(
        like, shape=shape, sources=sources, read=read, quantisation=None, columns=None,
        cheap=False,
    )  # fmt: skip


def _broadcast(first: Shape, second: Shape) -> Shape | None:
    sizes = []
    for a, b in zip(first, second, strict=True):
        if a != b and 1 not in (a, b):
            return None
        sizes.append(max(a, b))
    n, c, h, w = sizes
    return n, c, h, w


def _operands(packer: Packer, arguments: Sequence[Any]) -> tuple[Packed, Packed] | None:
    """Two operands, one of them an activation in lprc's layout."""
    values = [packer.take(argument) for argument in arguments]
    like = next((value for value in values if isinstance(value, Packed)), None)
    if like is None:
        return None
    operands: list[Packed] = []
    for argument, value in zip(arguments, values, strict=True):
        operand: Packed | None
        if isinstance(value, Packed):
            operand = value
        else:
            array = packer.array(argument)
            if array is not None:
                operand = constant(packer, array, like)
            else:
                operand = _activation(packer, value, like) if isinstance(value, Plain) else None
        if operand is None:
            return None
        operands.append(operand)
    first, second = operands
    return first, second


def _activation(packer: Packer, value: Plain, like: Packed) -> Packed | None:
    """A plain activation as an operand: of the same rank, or of one number."""
    shape = shape_of(value.expression)
    if shape is None or dtype_of(value.expression) != "float32":
        return None
    if len(shape) != like.rank:
        if any(size != 1 for size in shape):
            return None
        read = of_tensors(lambda tensors: lambda *_: tensors[0][(0,) * len(shape)])
        return Packed((1, 1, 1, 1), (0,), 1, (value.expression,), read, rank=like.rank)
    return packer.packed(value)


def _binary(function: Function, packer: Packer, call: Any, *, name: str = "") -> Value | None:
    operands = _operands(packer, call.args)
    if operands is None:
        return None
    first, second = operands
    return combined(packer, first, second, function, divides=name == "divide")


def _unary(function: Function, packer: Packer, call: Any) -> Value | None:
    value = packer.take(call.args[0])
    return unary(value, function) if isinstance(value, Packed) else None


def _maximum(a: Any, b: Any) -> Any:
    return tirx.max(a, b)


def _minimum(a: Any, b: Any) -> Any:
    return tirx.min(a, b)


def _relu(x: Any) -> Any:
    return tirx.max(x, number(0.0))


def _silu(x: Any) -> Any:
    return x * functions.sigmoid(x)


def clip(packer: Packer, call: Any) -> Value | None:
    """Between two numbers; Clip of ONNX."""
    low, high = (_scalar(each) for each in call.args[1:3])
    if low is None or high is None:
        return None
    return _unary(lambda x: tirx.min(tirx.max(x, number(low)), number(high)), packer, call)


def _scalar(expression: Any) -> float | None:
    value = getattr(expression, "value", expression)
    return float(value) if isinstance(value, int | float) else None


def leaky_relu(packer: Packer, call: Any) -> Value | None:
    """LeakyRelu."""
    alpha = number(float(call.attrs.alpha))
    return _unary(lambda x: tirx.Select(x > 0, x, x * alpha), packer, call)


def prelu(packer: Packer, call: Any) -> Value | None:
    """PRelu with a constant slope, one or one for each channel."""
    value, slope = packer.take(call.args[0]), packer.array(call.args[1])
    if not isinstance(value, Packed) or slope is None:
        return None
    if slope.size > 1:
        if int(call.attrs.axis) % value.rank != 1:
            return None
        slope = slope.reshape((1, -1) if value.rank == 2 else (1, -1, 1, 1))
    laid = constant(packer, slope, value)
    if laid is None:
        return None
    return combined(packer, value, laid, lambda x, by: tirx.Select(x > 0, x, x * by))


def call_tir(packer: Packer, call: Any) -> Value | None:
    """Maximum and minimum, which the importer makes of Clip."""
    function = packer.module[call.args[0]]
    combine = _comparison(function)
    arguments = call.args[1]
    if combine is None or not isinstance(arguments, relax.Tuple) or len(arguments.fields) != 2:
        return None
    operands = _operands(packer, arguments.fields)
    if operands is None:
        return None
    first, second = operands
    return combined(packer, first, second, combine)


def _comparison(function: Any) -> Function | None:
    """The function of a PrimFunc that stores the maximum or minimum of two loads; else None."""
    schedule = Schedule(tvm.IRModule({"main": function}))
    blocks = schedule.get_child_blocks(schedule.get_sblock("root"))
    stored = schedule.get(blocks[0]).body if len(blocks) == 1 else None
    value = getattr(stored, "value", None)
    if not isinstance(value, tirx.Max | tirx.Min):
        return None
    if not all(isinstance(load, TensorLoad) for load in (value.a, value.b)):
        return None
    return _maximum if isinstance(value, tirx.Max) else _minimum


HANDLERS: dict[str, Handler] = {
    "relax.add": partial(_binary, lambda a, b: a + b),
    "relax.subtract": partial(_binary, lambda a, b: a - b),
    "relax.multiply": partial(_binary, lambda a, b: a * b),
    "relax.divide": partial(_binary, lambda a, b: a / b, name="divide"),
    "relax.maximum": partial(_binary, _maximum),
    "relax.minimum": partial(_binary, _minimum),
    "relax.nn.relu": partial(_unary, _relu),
    "relax.sigmoid": partial(_unary, functions.sigmoid),
    "relax.tanh": partial(_unary, functions.tanh),
    "relax.nn.silu": partial(_unary, _silu),
    "relax.negative": partial(_unary, lambda x: number(0.0) - x),
    "relax.abs": partial(_unary, lambda x: tirx.max(x, number(0.0) - x)),
    "relax.square": partial(_unary, lambda x: x * x),
    "relax.clip": clip,
    "relax.nn.leakyrelu": leaky_relu,
    "relax.nn.prelu": prelu,
    "relax.call_tir": call_tir,
}
