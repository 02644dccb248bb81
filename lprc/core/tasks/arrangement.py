"""Outputs of a detector's levels as one table: a row for each place where a box may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from numpy.typing import NDArray


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

    def table(self, array: NDArray[Any]) -> NDArray[Any]:
        """The output `array` as [N, places, channels]."""
        if self.split is not None:
            array = array.reshape(len(array), *self.split)
        if self.order is not None:
            array = array.transpose(self.order)
        return array.reshape(len(array), *self.shape)


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
