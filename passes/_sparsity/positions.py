"""Positions of a layer's output, sampled evenly: what it sees there, and what it should put out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from lprc.core.running.observe import not_finite
from lprc.passes._fitting.unfold import Unfolded

Float32 = NDArray[np.float32]
Pair = tuple[Float32, Float32]

BUDGET = 1 << 24
"""The most elements of columns that are kept: 64 MiB."""

MOST = 1 << 14
"""The most positions that are kept: more tell no more about a few hundred weights."""

_GOLDEN = 0.6180339887498949


class Positions:
    """Columns that a layer sees and outputs that it should make of them, in bounded memory.

    Where there are too many, every second one goes and half as many are taken from then on. Which
    ones follows the golden ratio, so that no width of an image falls into step with it.

    Args:
        layer: The layer.
        budget: Elements of columns at most.
    """

    def __init__(self, layer: Unfolded, *, budget: int | None = None) -> None:
        self._layer = layer
        per_position = layer.groups * (layer.size + layer.order.shape[1])
        self._most = max(2, min(MOST, (BUDGET if budget is None else budget) // per_position))
        self._seen: list[Float32] = []
        self._wanted: list[Float32] = []
        self._ranks: list[NDArray[np.float64]] = []
        self._share = 1.0
        self._count = 0
        self._kept = 0

    def add(self, seen: Float32, wanted: Float32) -> bool:
        """Add one sample's input of the layer, and the output that it should have for it.

        Returns:
            Whether all that was taken of them is finite.
        """
        outputs = self._layer.outputs(wanted)
        count = outputs.shape[1]
        ranks = np.mod(np.arange(self._count, self._count + count) * _GOLDEN, 1.0)
        taken = np.flatnonzero(ranks < self._share)
        self._count += count
        self._kept += len(taken)
        self._ranks.append(ranks[taken])
        columns, outputs = self._layer.columns_at(seen, taken), outputs[:, taken]
        self._seen.append(columns)
        self._wanted.append(np.ascontiguousarray(outputs))
        while self._kept > self._most:
            self._halve()
        return bool(np.isfinite(columns).all() and np.isfinite(outputs).all())

    def _halve(self) -> None:
        self._share /= 2
        stays = [ranks < self._share for ranks in self._ranks]
        self._seen = [part[:, keep] for part, keep in zip(self._seen, stays, strict=True)]
        self._wanted = [part[:, keep] for part, keep in zip(self._wanted, stays, strict=True)]
        self._ranks = [part[keep] for part, keep in zip(self._ranks, stays, strict=True)]
        self._kept = sum(int(keep.sum()) for keep in stays)

    @property
    def seen(self) -> Float32:
        """The inputs that the rows are multiplied with: float32 [groups, positions, size]."""
        return np.concatenate(self._seen, axis=1)

    @property
    def wanted(self) -> Float32:
        """The outputs that are wanted, with the bias: float32 [groups, rows, positions]."""
        return np.ascontiguousarray(np.concatenate(self._wanted, axis=1).swapaxes(1, 2))


TOGETHER = 8
"""Samples of a Conv that are added at once: adding one takes longer than what is taken of it."""


def sampled(layer: Unfolded, seen: Iterable[Float32], wanted: Iterable[Float32]) -> Positions:
    """The positions of all samples: of what the layer sees, and of what it should put out.

    Raises:
        DataError: Something there is NaN or infinite.
    """
    positions = Positions(layer)
    together = TOGETHER if layer.node.op_type in ("Conv", "ConvTranspose") else 1
    number = 0
    for pairs in _batches(zip(seen, wanted, strict=True), together):
        if not positions.add(*(np.concatenate(arrays) for arrays in zip(*pairs, strict=True))):
            places = [not all(np.isfinite(array).all() for array in pair) for pair in pairs]
            raise not_finite(str(layer.input.name), number + places.index(True) + 1)
        number += len(pairs)
    return positions


def _batches(pairs: Iterable[Pair], most: int) -> Iterator[list[Pair]]:
    """Neighbouring pairs of the same shapes, `most` of them at a time."""
    batch: list[Pair] = []
    for pair in pairs:
        if batch and (len(batch) == most or _shapes(pair) != _shapes(batch[0])):
            yield batch
            batch = []
        batch.append(pair)
    if batch:
        yield batch


def _shapes(pair: Pair) -> list[tuple[int, ...]]:
    return [array.shape for array in pair]
