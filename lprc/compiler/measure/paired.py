"""How much longer one thing takes than another, from runs that were taken in turn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TAIL = 0.025
"""The probability that the true median is below the lower end of an interval."""


@dataclass(frozen=True)
class PairedRatio:
    """The median of ratios, and the ends of its 95 % confidence interval.

    Attributes:
        value: The median.
        low: The lower end; 0 where there are too few pairs to have one.
        high: The upper end; infinite where there are too few pairs to have one.
        pairs: How many ratios there were.
    """

    value: float
    low: float
    high: float
    pairs: int

    @property
    def is_less(self) -> bool:
        """Whether the interval lies below 1."""
        return self.high < 1

    @property
    def is_greater(self) -> bool:
        """Whether the interval lies above 1."""
        return self.low > 1

    def document(self) -> dict[str, Any]:
        """As JSON data; an end that there is none of is null."""
        ends = [self.low or None, self.high if math.isfinite(self.high) else None]
        return {"ratio": self.value, "interval": ends, "pairs": self.pairs}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PairedRatio:
        """The one that `document` was made of."""
        low, high = document["interval"]
        high = math.inf if high is None else high
        return cls(document["ratio"], low or 0.0, high, document["pairs"])

    def __str__(self) -> str:
        """For instance ``0.482 (0.476 to 0.490)``."""
        if not math.isfinite(self.high):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def paired_ratio(
    ours: Sequence[float] | NDArray[np.float64], theirs: Sequence[float] | NDArray[np.float64]
) -> PairedRatio:
    """The median of ``ours / theirs``, with an interval that assumes no distribution.

    Its ends are order statistics (Thompson, "On confidence ranges for the median", Annals of
    Mathematical Statistics 1936): what disturbs one pair moves one ratio, by however much.

    Args:
        ours: One duration a pair, in any unit.
        theirs: What was measured beside each of them.

    Raises:
        ValueError: There are none, or not as many of both.
    """
    if len(ours) != len(theirs) or not len(ours):
        raise ValueError(f"{len(ours)} and {len(theirs)} durations are no pairs")
    ratios = np.sort(np.asarray(ours, np.float64) / np.asarray(theirs, np.float64))
    count = len(ratios)
    rank = _rank(count)
    low, high = (ratios[rank - 1], ratios[count - rank]) if rank else (0.0, math.inf)
    return PairedRatio(float(np.median(ratios)), float(low), float(high), count)


def _rank(count: int) -> int:
    """Which of `count` sorted values is the interval's lower end, from 1; 0 for none."""
    rank, below = 0, 0.5**count
    while below <= TAIL and rank < count // 2:
        rank += 1
        below += math.comb(count, rank) * 0.5**count
    return rank
