"""Outputs of a detector's levels as one table: a row for each place where a box may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from lprc.passes._images.operators import Operators


@dataclass(frozen=True)
class Arrangement:
    """How an output becomes [N, places, channels].

    Attributes:
        split: The shape without the batch that it takes first; None where it has it.
        order: Of the axes then; None where it stays.
        shape: Places and channels.
    """

    split: tuple[int, ...] | None
    order: tuple[int, ...] | None
    shape: tuple[int, int]

    def build(self, tail: Operators, value: ir.Value, name: str) -> ir.Value:
        """The output `value` as float32 [N, places, channels]."""
        assert value.shape is not None
        if self.split is not None:
            value = _reshape(tail, value, f"{name}_split", self.split)
        if self.order is not None:
            assert value.shape is not None
            shape = [value.shape[axis] for axis in self.order]
            attributes = {"perm": list(self.order)}
            value = tail.add("Transpose", [value], f"{name}_turned", shape, attributes=attributes)
        assert value.shape is not None
        if tuple(value.shape)[1:] != self.shape:
            value = _reshape(tail, value, f"{name}_places", self.shape)
        return value


def _reshape(tail: Operators, value: ir.Value, name: str, shape: Sequence[int]) -> ir.Value:
    assert value.shape is not None
    wanted = tail.integers(f"{name}_shape", [0, *shape])
    return tail.add("Reshape", [value, wanted], name, [value.shape[0], *shape])


def arrangement(sizes: Sequence[int], channels: int, per_cell: int) -> Arrangement | None:
    """How an output has `channels` for each place; None where it has others.

    Args:
        sizes: Of its axes behind the batch. It is [N, K, channels], [N, channels, K], [N, K] for
            one channel, a map [N, per_cell * channels, H, W], or [N, per_cell, H, W, channels].
        channels: Numbers for each place.
        per_cell: Places for each cell of a map: they stand behind one another.
    """
    places = prod(sizes) // channels
    shape = places, channels
    result: Arrangement | None = None
    if len(sizes) == 1 and channels == 1:
        result = Arrangement(None, None, shape)
    elif len(sizes) == 2 and channels in sizes:
        result = Arrangement(None, None if sizes[1] == channels else (0, 2, 1), shape)
    elif len(sizes) == 3 and sizes[0] == channels * per_cell:
        cells = sizes[1] * sizes[2]
        if per_cell == 1:
            result = Arrangement((channels, cells), (0, 2, 1), shape)
        else:
            result = Arrangement((per_cell, channels, cells), (0, 3, 1, 2), shape)
    elif len(sizes) == 4 and (sizes[0], sizes[3]) == (per_cell, channels):
        result = Arrangement(None, (0, 2, 3, 1, 4), shape)
    return result
