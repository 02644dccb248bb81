"""Convolutions in the packed layout: NHWC data, weights in blocks of 16 output channels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tvm import te, tirx

from lprc.targets.tvm_backend.kernels.windows import Read, Window
from lprc.targets.tvm_backend.machine import BLOCK


def convolution(
    read: Read,
    weight: Any,
    shape: tuple[int, int, int],
    window: Window,
    groups: tuple[int, int],
    runs: Sequence[tuple[int, int, int]] = (),
) -> Any:
    """The block ``acc``: sums of products, [N, rows, columns, 16 * blocks].

    Args:
        read: The padded input; float32, or uint8.
        weight: float32 [blocks, KH, KW, C, 16]; int16 of that shape, or int8
            [blocks, KH, KW, C/4, 16, 4], for a uint8 input.
        shape: N, rows and columns of the result.
        window: Taps and steps.
        groups: How many blocks of output channels read the same input channels, and by how many
            channels the next ones begin later; (1, 0) where all read all.
        runs: Where input channels are, if not one behind the other: (first of the weights', first
            physical one, count); not for int8, as TVM finds no dot product there.

    Returns:
        float32, or int32 for a uint8 input.
    """
    blocks, kernel_rows, kernel_columns, channels = (int(size) for size in weight.shape[:4])
    integer = str(weight.dtype) != "float32"
    quads = len(weight.shape) == 6
    tap_y = te.reduce_axis((0, kernel_rows), "tap_y")
    tap_x = te.reduce_axis((0, kernel_columns), "tap_x")
    c = te.reduce_axis((0, channels), "c")
    axes = [tap_y, tap_x, c]
    if quads:
        quad = te.reduce_axis((0, 4), "quad")
        axes.append(quad)
    shared, step = groups

    def value(n: Any, y: Any, x: Any, o: Any) -> Any:
        row, column = window.at(y, x, tap_y, tap_x)
        begin = (o // BLOCK // shared) * step if step else 0
        place = [o // BLOCK, tap_y, tap_x, c, o % BLOCK]
        channel = _channel(c, runs)
        if quads:
            place, channel = [*place, quad], c * 4 + quad
        data, tap = read(n, row, column, begin + channel), weight[tuple(place)]
        if integer:
            data, tap = data.astype("int32"), tap.astype("int32")
        return te.sum(data * tap, axis=axes)

    return te.compute((*shape, blocks * BLOCK), value, name="acc")


def _channel(index: Any, runs: Sequence[tuple[int, int, int]]) -> Any:
    """The physical input channel of one of the weights'."""
    if not runs:
        return index
    found = index + (runs[-1][1] - runs[-1][0])
    for (begin, physical, _), (end, _, _) in reversed(list(pairwise(runs))):
        found = tirx.Select(index < end, index + (physical - begin), found)
    return found


def depthwise(read: Read, weight: Any, shape: tuple[int, int, int], window: Window) -> Any:
    """The block ``acc`` of a convolution with one input channel for each output channel.

    Args:
        read: The padded input; float32, or uint8.
        weight: float32 or int16 [KH, KW, C], C a multiple of 16.
        shape: N, rows and columns of the result.
        window: Taps and steps.

    Returns:
        float32 [N, rows, columns, C], or int32 for a uint8 input.
    """
    kernel_rows, kernel_columns, depth = (int(size) for size in weight.shape)
    integer = str(weight.dtype) != "float32"
    tap_y = te.reduce_axis((0, kernel_rows), "tap_y")
    tap_x = te.reduce_axis((0, kernel_columns), "tap_x")

    def value(n: Any, y: Any, x: Any, c: Any) -> Any:
        row, column = window.at(y, x, tap_y, tap_x)
        data, tap = read(n, row, column, c), weight[tap_y, tap_x, c]
        if integer:
            data, tap = data.astype("int32"), tap.astype("int32")
        return te.sum(data * tap, axis=[tap_y, tap_x])

    return te.compute((*shape, depth), value, name="acc")
