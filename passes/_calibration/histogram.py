"""The statistics of an activation over any number of samples: extremes and a histogram."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 8192
"""Bins from ``-reach`` to ``reach``; half of them serve an activation behind ReLU."""

SMALLEST = 2.0**-100
"""A smaller number is no activation: products with it would underflow."""


_CHUNK = 1 << 16
"""Values that are looked at together, because a core's cache can hold them."""


COUNTED = 1 << 22
"""Values of an activation that its histogram needs in all: more tell no more about it."""


class ActivationStatistics:
    """Extremes and a histogram, updated sample by sample in constant memory.

    Extremes are of all values. The histogram counts about `COUNTED` where there are more, at
    even distances; each stands for those in between.

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

    Args:
        expected: How many samples there will be at least.
    """

    def __init__(self, expected: int = 1) -> None:
        self._share = max(1, COUNTED // expected)
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
        pieces = [values[start : start + _CHUNK] for start in range(0, values.size, _CHUNK)]
        extremes = [float(end) for piece in pieces for end in (piece.min(), piece.max())]
        if not all(map(math.isfinite, extremes)):
            return False
        low, high = min(extremes), max(extremes)
        self._grow(max(-low, high))
        step = stride(array.shape, self._share)
        counted = values[::step]
        if self.reach == 0.0:
            self._zeros += counted.size * step
        else:
            for start in range(0, counted.size, _CHUNK):
                self._count(counted[start : start + _CHUNK], step)
        self.samples += 1
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.mean_low += (low - self.mean_low) / self.samples
        self.mean_high += (high - self.mean_high) / self.samples
        return True

    def _count(self, values: NDArray[Any], times: int) -> None:
        # Powers of two make this exact: a value's bin is the one that merging would bring it to.
        scaled = np.multiply(values, np.float32(BINS / 2 / self.reach))
        np.add(np.floor(scaled, out=scaled), np.float32(BINS // 2), out=scaled)
        # A core converts to 32 bits eight at a time, to 64 bits one.
        self.counts += np.bincount(scaled.astype(np.int32), minlength=BINS) * times

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


def stride(shape: tuple[int, ...], counted: int) -> int:
    """The distance of values that are counted of an array, so that they are about `counted`.

    It has no divisor in common with the last two axes, so that neither falls into step with it.
    """
    wanted, image = max(1, math.prod(shape) // counted), math.prod(shape[-2:])
    below = next(step for step in range(wanted, 0, -1) if math.gcd(step, image) == 1)
    above = next(step for step in itertools.count(wanted) if math.gcd(step, image) == 1)
    return below if wanted - below <= above - wanted else above
