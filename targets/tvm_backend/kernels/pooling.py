"""Maxima and sums over windows, rows, columns and whole images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, tirx

from lprc.targets.tvm_backend.kernels.windows import Read, Window
from lprc.targets.tvm_backend.machine import BLOCK


def pool(
    read: Read,
    shape: tuple[int, int, int, int],
    window: Window,
    combine: Callable[..., Any],
) -> Any:
    """The block ``acc``: `combine` (``te.max`` or ``te.sum``) over each window, [N, H, W, C]."""
    tap_y = te.reduce_axis((0, window.kernel[0]), "tap_y")
    tap_x = te.reduce_axis((0, window.kernel[1]), "tap_x")

    def value(n: Any, y: Any, x: Any, c: Any) -> Any:
        row, column = window.at(y, x, tap_y, tap_x)
        return combine(read(n, row, column, c), axis=[tap_y, tap_x])

    return te.compute(shape, value, name="acc")


def taps_inside(at: Any, axis: int, window: Window, size: int, margins: tuple[int, int]) -> Any:
    """How many taps of output row (axis 0) or column (1) `at` lie in the image and its margins.

    Args:
        at: Of the output.
        axis: 0 for rows, 1 for columns.
        window: Not dilated.
        size: Rows or columns of the image.
        margins: Padding before and after it that counts, too.
    """
    begin = at * window.strides[axis] - window.pads[axis]
    end = tirx.min(begin + window.kernel[axis], size + margins[1])
    return end - tirx.max(begin, -margins[0])


def total(
    read: Read,
    image: tuple[int, int, int],
    depth: int,
    segments: Sequence[tuple[int, int, int]],
) -> Any:
    """The sum over rows, columns and logical channels, [N, 1, 1, 1].

    Args:
        read: float32.
        image: N, height and width.
        depth: Physical channels, a multiple of 16.
        segments: (first logical, first physical, count) of the channels that count.
    """
    n, height, width = image
    y, x = te.reduce_axis((0, height), "y"), te.reduce_axis((0, width), "x")
    block = te.reduce_axis((0, depth // BLOCK), "block")
    lane = te.reduce_axis((0, BLOCK), "lane")
    whole = [(0, 0, depth)] == list(segments)

    def part(i: Any, k: Any) -> Any:
        channel = block * BLOCK + k
        activation = read(i, y, x, channel)
        if not whole:
            parts = [tirx.all(channel >= at, channel < at + count) for _, at, count in segments]
            inside = parts[0] if len(parts) == 1 else tirx.any(*parts)
            activation = tirx.Select(inside, activation, tirx.const(0.0, "float32"))
        return te.sum(activation, axis=[y, x, block])

    lanes = te.compute((n, BLOCK), part, name="lanes")
    return te.compute((n, 1, 1, 1), lambda i, *_: te.sum(lanes[i, lane], axis=[lane]), name="acc")
