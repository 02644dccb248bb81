"""Conv: float32, or uint8 by int8 where the activation and the weights are quantised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lprc.targets.tvm_backend.defaults import tiles
from lprc.targets.tvm_backend.kernels.convolution import convolution, depthwise
from lprc.targets.tvm_backend.kernels.windows import Read, Window
from lprc.targets.tvm_backend.machine import BLOCK, Machine
from lprc.targets.tvm_backend.packed import (
    Integers,
    Packed,
    Root,
    Value,
    of_root,
    rounded_up,
    segments,
)
from lprc.targets.tvm_backend.packing.expressions import numbers, shape_of
from lprc.targets.tvm_backend.packing.layouts import spread
from lprc.targets.tvm_backend.packing.operands import Operand
from lprc.targets.tvm_backend.packing.packer import Handler, Packer

_FEW = 4
"""Runs of input channels that a kernel tells apart."""


@dataclass(frozen=True)
class Weights:
    """Of a convolution.

    Attributes:
        values: [O, I / groups, KH, KW]: float32, or integers in int32.
        scale: Of integers: float32, one or O numbers; None for float32.
    """

    values: NDArray[Any]
    scale: NDArray[Any] | None = None

    @classmethod
    def of(cls, packer: Packer, expression: Any, *, integer: bool, axis: int = 0) -> Weights | None:
        """Of a constant, as integers where those are asked for and the constant has them."""
        value = packer.values.get(expression)
        if integer and isinstance(value, Integers):
            centred = value.centred()
            small = centred.size and centred.min() >= -128 and centred.max() <= 127
            if small and (value.scale.size == 1 or value.axis == axis):
                return cls(centred, value.scale.reshape(-1).astype(np.float32))
        array = packer.array(expression)
        return None if array is None else cls(array.astype(np.float32))


def conv2d(packer: Packer, call: Any) -> Value | None:
    """A Conv of rank 4 with constant weights."""
    a = call.attrs
    layouts = (str(a.data_layout), str(a.kernel_layout), str(a.out_layout))
    shape = shape_of(call)
    if layouts != ("NCHW", "OIHW", "NCHW") or shape is None:
        return None
    value = packer.packed(packer.take(call.args[0]))
    if value is None:
        return None
    weights = Weights.of(packer, call.args[1], integer=value.quantisation is not None)
    if weights is None:
        return None
    top, left, bottom, right = numbers(a.padding)
    window = Window(
        (int(weights.values.shape[2]), int(weights.values.shape[3])),
        _pair(a.strides),
        _pair(a.dilation),
        (top, left, bottom, right),
    )
    return convolved(packer, value, weights, window, (shape[2], shape[3]), int(a.groups))


def _pair(values: Any) -> tuple[int, int]:
    first, second = numbers(values)
    return first, second


def convolved(
    packer: Packer,
    value: Packed,
    weights: Weights,
    window: Window,
    outputs: tuple[int, int],
    groups: int = 1,
) -> Packed:
    """The pending convolution of an activation.

    Args:
        packer: For its kernels.
        value: The activation that is convolved.
        weights: With what; integers only where `value` is quantised.
        window: Steps and padding.
        outputs: Rows and columns of the result.
        groups: As in ONNX.
    """
    integer = weights.scale is not None
    operand = Operand.of(packer, value, integer=integer)
    if groups == value.shape[1] == weights.values.shape[0] > 1:
        return _depthwise(packer, operand, weights, window, outputs)
    if groups > 1 and operand.channels != list(range(value.shape[1])):
        operand = Operand.of(packer, _compact(packer, value), integer=integer)
    quads = integer and packer.machine.dot == "vnni"
    runs = [] if quads or groups > 1 else _runs(operand)
    moved = {at + k: begin + k for begin, at, length in runs for k in range(length)}
    places = [moved.get(at, at) for at in operand.channels]
    width = len(moved) if runs else operand.count
    spread, shared, step = _grouped(weights.values, groups, places, width)
    count = spread.shape[0]
    blocks = rounded_up(count) // BLOCK
    if step:  # the last block may read channels that no group has
        last = (blocks - 1) // shared * step
        operand = replace(operand, count=last + rounded_up(spread.shape[1], 4 if quads else 1))
    columns = _columns(outputs[1], blocks, packer.machine)
    laid = packer.constant(_blocks(spread, integer=integer, quads=quads))
    inputs = len(operand.value.sources)

    def stage(tensors: Sequence[Any]) -> Read:
        read = operand.reading(
            tensors[:inputs], window, (outputs[0], columns), multiple=4 if quads else 1
        )
        n = operand.value.shape[0]
        summed = convolution(
            read, tensors[inputs], (n, outputs[0], columns), window, (shared, step), runs
        )
        return _scaled(summed, tensors[inputs + 1 :])

    sources = [*operand.value.sources, laid, *_factors(packer, operand, weights, range(count))]
    root = Root(
        "integer_conv" if integer else "conv", tuple(sources), stage, columns, blocks * BLOCK
    )
    return _pending(value, root, tuple(range(count)), outputs)


def _runs(operand: Operand) -> list[tuple[int, int, int]]:
    """Runs of input channels between which there are others without a meaning, if those cost much.

    Returns:
        (first of the weights', first physical one, count).
    """
    alive = sorted(operand.channels)
    found = segments(alive)
    costly = (operand.count - len(alive)) * 16 >= operand.count
    return found if costly and 1 < len(found) <= _FEW else []


def _pending(
    value: Packed, root: Root, channels: tuple[int, ...], outputs: tuple[int, int]
) -> Packed:
    read = of_root(lambda found: found)
    shape = (value.shape[0], len(channels), *outputs)
    return Packed(shape, channels, root.depth, (), read, root=root, rank=value.rank)


def _scaled(summed: Any, factors: Sequence[Any]) -> Read:
    """The float32 value of sums: integers are multiplied and shifted, channel by channel."""
    if not factors:
        return lambda *at: summed[at]
    scale, shift = factors
    return lambda i, y, x, c: summed[i, y, x, c].astype("float32") * scale[c] + shift[c]


def _factors(
    packer: Packer, operand: Operand, weights: Weights, places: Sequence[int]
) -> list[Any]:
    """Scale and shift by physical output channel; the shift takes the zero point back out."""
    quantisation = operand.value.quantisation
    if weights.scale is None or quantisation is None:
        return []
    count = weights.values.shape[0]
    depth = rounded_up(max(places) + 1)
    scale, shift = np.zeros((2, depth), np.float32)
    factor = np.broadcast_to(weights.scale, (count,)) * np.float32(quantisation.scale)
    sums = weights.values.sum(axis=(1, 2, 3), dtype=np.int64) * quantisation.stored_zero
    scale[list(places)] = factor
    shift[list(places)] = -(factor.astype(np.float64) * sums)
    return [packer.constant(scale), packer.constant(shift)]


def _depthwise(
    packer: Packer, operand: Operand, weights: Weights, window: Window, outputs: tuple[int, int]
) -> Packed:
    integer = weights.scale is not None
    places = operand.channels
    depth = rounded_up(operand.count)
    rows, columns = window.kernel
    laid = np.zeros((rows, columns, depth), np.int16 if integer else np.float32)
    laid[..., places] = weights.values[:, 0].transpose(1, 2, 0)
    constant = packer.constant(laid)
    inputs = len(operand.value.sources)

    def stage(tensors: Sequence[Any]) -> Read:
        read = operand.reading(tensors[:inputs], window, outputs, multiple=BLOCK)
        shape = (operand.value.shape[0], *outputs)
        summed = depthwise(read, tensors[inputs], shape, window)
        return _scaled(summed, tensors[inputs + 1 :])

    sources = [*operand.value.sources, constant, *_factors(packer, operand, weights, places)]
    kind = "integer_depthwise" if integer else "depthwise"
    root = Root(kind, tuple(sources), stage, outputs[1], depth)
    return _pending(operand.value, root, tuple(places), outputs)


def _compact(packer: Packer, value: Packed) -> Packed:
    """A copy with the logical channels in their order, from 0 on."""
    n, c, h, w = value.shape
    like = Packed(value.shape, tuple(range(c)), c, (), value.read)
    value = packer.stored(value) if value.root is not None else value
    return packer.stored(spread(packer, value, like, (n, c, h, w)))


def _grouped(
    values: NDArray[Any], groups: int, channels: Sequence[int], count: int
) -> tuple[NDArray[Any], int, int]:
    """Weights by physical input channel, [O, channels that a block reads, KH, KW].

    Returns:
        Them, how many blocks of 16 output channels read the same input channels, and by how many
        channels the next ones begin later.
    """
    outputs, inputs, rows, columns = values.shape
    members = outputs // groups
    if groups > 1 and members % BLOCK == 0:
        return values, members // BLOCK, inputs
    if groups > 1 and BLOCK % members == 0:
        together = min(BLOCK // members, groups)
        spread_weights = np.zeros((outputs, together * inputs, rows, columns), values.dtype)
        for at in range(outputs):
            begin = at // members % together * inputs
            spread_weights[at, begin : begin + inputs] = values[at]
        return spread_weights, 1, together * inputs
    spread_weights = np.zeros((outputs, count, rows, columns), values.dtype)
    for at in range(outputs):
        begin = at // members * inputs
        spread_weights[at, list(channels[begin : begin + inputs])] = values[at]
    return spread_weights, 1, 0


def _blocks(values: NDArray[Any], *, integer: bool, quads: bool) -> NDArray[Any]:
    """[O / 16, KH, KW, I, 16], or [O / 16, KH, KW, I / 4, 16, 4] in int8."""
    outputs, inputs, rows, columns = values.shape
    blocks = rounded_up(outputs) // BLOCK
    width = rounded_up(inputs, 4) if quads else inputs
    full = np.zeros((blocks * BLOCK, width, rows, columns), np.int32 if integer else np.float32)
    full[:outputs, :inputs] = values
    if quads:
        split = full.reshape(blocks, BLOCK, width // 4, 4, rows, columns)
        return np.asarray(split.transpose(0, 4, 5, 2, 1, 3), np.int8)
    laid = full.reshape(blocks, BLOCK, width, rows, columns).transpose(0, 3, 4, 2, 1)
    return np.asarray(laid, np.int16 if integer else np.float32)


def _columns(width: int, blocks: int, machine: Machine) -> int:
    """Columns to compute: a few more than the width where that has no divisor of a good size."""

    def cost(columns: int) -> float:
        return tiles(columns, blocks, machine)[0][0] * columns

    best = min(range(width, width + max(width // 8, 1) + 1), key=cost)
    return best if width > 1 and cost(best) < 0.93 * cost(width) else width


HANDLERS: dict[str, Handler] = {"relax.nn.conv2d": conv2d}
