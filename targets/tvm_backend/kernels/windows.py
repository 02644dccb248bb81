"""Windows that slide over rows and columns, and the padded input that they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import te, tirx

Read = Callable[[Any, Any, Any, Any], Any]
"""The value at (image, row, column, channel); the channel is one of the physical layout."""


@dataclass(frozen=True)
class Window:
    """Of a convolution or pool; pairs are (rows, columns).

    Attributes:
        kernel: Taps.
        strides: Steps.
        dilations: Distance of taps.
        pads: Top, left, bottom, right, as ONNX has them after (top, left).
    """

    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def reach(self, axis: int, outputs: int) -> int:
        """How many rows (axis 0) or columns (1) that many outputs read."""
        taps = (self.kernel[axis] - 1) * self.dilations[axis]
        return (outputs - 1) * self.strides[axis] + taps + 1

    def at(self, y: Any, x: Any, tap_y: Any, tap_x: Any) -> tuple[Any, Any]:
        """The row and column that a tap of output (y, x) reads, in the padded input."""
        (sy, sx), (dy, dx) = self.strides, self.dilations
        return y * sy + tap_y * dy, x * sx + tap_x * dx


def padded(
    read: Read,
    image: tuple[int, int, int],
    window: Window,
    outputs: tuple[int, int],
    depth: int,
    fill: Any,
) -> Any:
    """The block ``pad``: [N, rows that are read, columns that are read, depth].

    Args:
        read: The input.
        image: N, height and width of the input.
        window: The window that reads it.
        outputs: Rows and columns of the result.
        depth: Physical channels.
        fill: The value of the padding.
    """
    n, height, width = image
    top, left, _, _ = window.pads
    rows, columns = window.reach(0, outputs[0]), window.reach(1, outputs[1])

    def value(i: Any, y: Any, x: Any, c: Any) -> Any:
        inside = []
        if top:
            inside.append(y >= top)
        if rows > height + top:
            inside.append(y < height + top)
        if left:
            inside.append(x >= left)
        if columns > width + left:
            inside.append(x < width + left)
        activation = read(i, y - top, x - left, c)
        if not inside:
            return activation
        within = inside[0] if len(inside) == 1 else tirx.all(*inside)
        return tirx.if_then_else(within, activation, fill)

    return te.compute((n, rows, columns, depth), value, name="pad")
