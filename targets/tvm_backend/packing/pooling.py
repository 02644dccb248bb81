"""MaxPool and AveragePool; maxima stay integers, sums of integers too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from tvm import te, tirx

from lprc.targets.tvm_backend.kernels.functions import number
from lprc.targets.tvm_backend.kernels.pooling import pool, taps_inside
from lprc.targets.tvm_backend.kernels.windows import Read, Window
from lprc.targets.tvm_backend.packed import Packed, Root, Value, of_root, rounded_up
from lprc.targets.tvm_backend.packing.expressions import numbers, shape_of
from lprc.targets.tvm_backend.packing.operands import Operand
from lprc.targets.tvm_backend.packing.packer import Handler, Packer

_LOWEST = float(np.finfo(np.float32).min)


def pool2d(kind: str, packer: Packer, call: Any) -> Value | None:
    """A pool of rank 4."""
    a, shape = call.attrs, shape_of(call)
    value = packer.packed(packer.take(call.args[0]))
    if value is None or shape is None or str(a.layout) != "NCHW" or value.rank != 4:
        return None
    kernel, strides, dilations = (numbers(sizes) for sizes in (a.pool_size, a.strides, a.dilation))
    top, left, bottom, right = numbers(a.padding)
    window = Window(
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
        (top, left, bottom, right),
    )
    outputs = shape[2], shape[3]
    if kind == "max":
        return maxima(packer, value, window, outputs)
    if window.dilations != (1, 1):
        return None
    return averages(packer, value, window, outputs, padding_counts=bool(a.count_include_pad))


def maxima(packer: Packer, value: Packed, window: Window, outputs: tuple[int, int]) -> Packed:
    """The pending MaxPool; of integers it is one of integers."""
    integer = value.quantisation is not None
    operand = Operand.of(packer, value, integer=integer)
    depth = _depth(operand)
    fill = tirx.const(0, "uint8") if integer else number(_LOWEST)

    def stage(tensors: Sequence[Any]) -> Read:
        read = operand.reading(
            tensors,
            window,
            outputs,
            fill=fill,
            multiple=depth,
            direct=_disjoint(operand, window, outputs),
        )
        shape = (operand.value.shape[0], *outputs, depth)
        pooled = pool(read, shape, window, te.max)
        return lambda *at: pooled[at]

    return _pending(operand, stage, outputs, depth, keeps=integer)


def averages(
    packer: Packer,
    value: Packed,
    window: Window,
    outputs: tuple[int, int],
    *,
    padding_counts: bool,
) -> Packed:
    """The pending AveragePool."""
    quantisation = value.quantisation
    integer = quantisation is not None
    operand = Operand.of(packer, value, integer=integer)
    depth = _depth(operand)
    taps = window.kernel[0] * window.kernel[1]
    _, _, height, width = value.shape
    top, left, bottom, right = window.pads
    margins = ((top, bottom), (left, right)) if padding_counts else ((0, 0), (0, 0))
    complete = not _overhangs(window, outputs, (height, width), margins)

    def stage(tensors: Sequence[Any]) -> Read:
        read = operand.reading(
            tensors, window, outputs, multiple=depth, direct=_disjoint(operand, window, outputs)
        )
        shape = (operand.value.shape[0], *outputs, depth)

        def wide(*at: Any) -> Any:
            return read(*at).astype("int32")

        summed = pool(wide if integer else read, shape, window, te.sum)

        def mean(i: Any, y: Any, x: Any, c: Any) -> Any:
            window_sum = summed[i, y, x, c]
            if quantisation is not None:
                centred = window_sum.astype("float32") - number(quantisation.stored_zero * taps)
                window_sum = centred * number(quantisation.scale)
            if complete:
                return window_sum * number(1.0 / taps)
            rows = taps_inside(y, 0, window, height, margins[0])
            columns = taps_inside(x, 1, window, width, margins[1])
            return window_sum * (number(1.0) / (rows * columns).astype("float32"))

        return mean

    return _pending(operand, stage, outputs, depth, keeps=False)


def _overhangs(
    window: Window,
    outputs: tuple[int, int],
    sizes: tuple[int, int],
    margins: Sequence[tuple[int, int]],
) -> bool:
    """Whether a window lies partly where nothing counts."""
    for axis in (0, 1):
        before, after = margins[axis]
        if window.pads[axis] > before:
            return True
        if window.reach(axis, outputs[axis]) - window.pads[axis] > sizes[axis] + after:
            return True
    return False


def _disjoint(operand: Operand, window: Window, outputs: tuple[int, int]) -> bool:
    """Whether nothing is read by two windows, or reading twice costs nothing."""
    pairs = zip(window.kernel, window.strides, outputs, strict=True)
    return operand.value.cheap or all(k <= s or count == 1 for k, s, count in pairs)


def _depth(operand: Operand) -> int:
    return rounded_up(operand.count)


def _pending(
    operand: Operand, stage: Any, outputs: tuple[int, int], depth: int, *, keeps: bool
) -> Packed:
    value = operand.value
    return Packed(
        (*value.shape[:2], *outputs),
        tuple(operand.channels),
        depth,
        (),
        of_root(lambda integers: integers),
        value.quantisation if keeps else None,
        Root("pool", value.sources, stage, outputs[1], depth),
    )


HANDLERS: dict[str, Handler] = {
    "relax.nn.max_pool2d": partial(pool2d, "max"),
    "relax.nn.avg_pool2d": partial(pool2d, "average"),
}
