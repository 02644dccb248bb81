"""The statistics of an activation over any number of samples: extremes and a histogram."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 8192
"""Bins from ``-reach`` to ``reach``; half of them serve an activation behind ReLU."""

SMALLEST = 2.0**-100
"""A smaller number is no activation: products with it would underflow."""


_CHUNK = 1 << 16
"""Values that are looked at together: 2 ns each, where whole tensors took 28."""


class ActivationStatistics:
    """Extremes and a histogram, updated sample by sample in constant memory.

    The histogram spans ``-reach`` to ``reach``, a power of two. A sample beyond that doubles
    `reach` and merges bins in pairs, so that no second run over the data is needed and neither the
    order of samples nor how they are batched makes a difference to it.

    Attributes:
        samples: How many there were.
        low: The smallest value of all.
        high: The largest value of all.
        mean_low: The mean over samples of the smallest value of each.
        mean_high: The mean over samples of the largest value of each.
        counts: int64 [BINS].
        reach: Half the span of the histogram; 0 until a value other than zero comes, where
            magnitudes below `SMALLEST` count as zero.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.low = np.inf
        self.high = -np.inf
        self.mean_low = 0.0
        self.mean_high = 0.0
        self.counts = np.zeros(BINS, np.int64)
        self.reach = 0.0
        self._zeros = 0

    def update(self, array: NDArray[Any]) -> bool:
        """Take in one sample's values, float32 of any shape; False where one is not finite."""
        if array.size == 0:
            return True
        values = array.reshape(-1)
        length = min(_CHUNK, values.size)
        scaled, places = np.empty(length, np.float32), np.empty(length, np.intp)
        low, high = np.inf, -np.inf
        # All that is made of some values is made while they are in a core's cache.
        for start in range(0, values.size, length):
            chunk = values[start : start + length]
            least, most = float(chunk.min()), float(chunk.max())
            if not (math.isfinite(least) and math.isfinite(most)):
                return False
            low, high = min(low, least), max(high, most)
            self._grow(max(-least, most))
            if self.reach == 0.0:
                self._zeros += chunk.size
            else:
                self._count(chunk, scaled[: chunk.size], places[: chunk.size])
        self.samples += 1
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.mean_low += (low - self.mean_low) / self.samples
        self.mean_high += (high - self.mean_high) / self.samples
        return True

    def _count(
        self, chunk: NDArray[Any], scaled: NDArray[np.float32], places: NDArray[np.intp]
    ) -> None:
        # Powers of two make this exact: a value's bin is the one that merging would bring it to.
        np.multiply(chunk, np.float32(BINS / 2 / self.reach), out=scaled)
        np.add(np.floor(scaled, out=scaled), np.float32(BINS // 2), out=scaled)
        np.copyto(places, scaled, casting="unsafe")
        self.counts += np.bincount(places, minlength=BINS)

    def _grow(self, magnitude: float) -> None:
        if magnitude < max(self.reach, SMALLEST):
            return
        if self.reach == 0.0:
            self.reach = math.ldexp(1.0, math.frexp(magnitude)[1])
            self.counts[BINS // 2] += self._zeros
            return
        while self.reach <= magnitude:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(BINS, np.int64)
            self.counts[BINS // 4 : BINS // 4 + BINS // 2] = merged
            self.reach *= 2

    def centres(self) -> NDArray[np.float64]:
        """The values that stand for the bins; that of the bin of zero is zero itself."""
        width = 2 * self.reach / BINS
        centres = np.asarray((np.arange(BINS) + 0.5) * width - self.reach, np.float64)
        # A ReLU's zeros are exact, and quantise without any error.
        centres[BINS // 2] = 0.0
        return centres
