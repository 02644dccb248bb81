"""How sure a score is, and whether two scores on the same samples differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95

_Z = 1.959963984540054
"""The quantile of the normal distribution for `LEVEL`."""

Combine = Callable[[Sequence[Any]], float]


@dataclass(frozen=True)
class Interval:
    """The ends of a 95 % confidence interval."""

    low: float
    high: float

    def __str__(self) -> str:
        """For instance ``0.8726 to 0.9298``."""
        return f"{self.low:.4f} to {self.high:.4f}"


@dataclass(frozen=True)
class Difference:
    """A score less another one's, on the same samples.

    Attributes:
        value: The difference.
        interval: Its 95 % confidence interval, by a paired bootstrap.
        p: How likely a difference as large is where there is none: McNemar's exact test for
            shares, else from the bootstrap.
        test: ``McNemar`` or ``bootstrap``.
    """

    value: float
    interval: Interval
    p: float
    test: str

    @property
    def is_significant(self) -> bool:
        """Whether it is more than chance at the 5 % level."""
        return self.p < 1 - LEVEL

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        ends = [self.interval.low, self.interval.high]
        return {"difference": self.value, "interval": ends, "p": self.p, "test": self.test}

    def __str__(self) -> str:
        """For instance ``-0.0025 (95 % interval -0.0075 to +0.0000; McNemar p = 1)``."""
        ends = f"{self.interval.low:+.4f} to {self.interval.high:+.4f}"
        return f"{self.value:+.4f} (95 % interval {ends}; {self.test} p = {self.p:.2g})"


def wilson(right: float, total: int) -> Interval:
    """The interval of a share (Wilson, "Probable inference", JASA 1927).

    Args:
        right: How many were right.
        total: Of how many.
    """
    if total == 0:
        return Interval(0.0, 1.0)
    share, square = right / total, _Z**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    half /= 1 + square / total
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def interval(
    combine: Combine,
    records: Sequence[Any],
    *,
    shares: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The interval of a score: Wilson's for shares, else the percentile bootstrap.

    Efron, "Bootstrap methods", Annals of Statistics 1979.

    Args:
        combine: Makes the score of records.
        records: One a sample.
        shares: Whether the first number of a record is 1 or 0 and the score their mean.
        seed: Of the resampling.
        resamples: How many sets of samples are drawn.
    """
    if shares:
        return wilson(sum(float(record[0]) for record in records), len(records))
    draws = _draws(len(records), seed, resamples)
    scores = [combine([records[index] for index in drawn]) for drawn in draws]
    return _percentiles(scores)


def difference(
    combine: Combine,
    ours: Sequence[Any],
    theirs: Sequence[Any],
    *,
    shares: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Difference:
    """How far our score is above theirs.

    Args:
        combine: Makes the score of records.
        ours: One record a sample.
        theirs: The same samples' in the same order.
        shares: As of `interval`.
        seed: Of the resampling.
        resamples: As of `interval`.

    Raises:
        ValueError: The two have different lengths.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} and {len(theirs)} samples")
    value = combine(ours) - combine(theirs)
    gaps = [
        combine([ours[index] for index in drawn]) - combine([theirs[index] for index in drawn])
        for drawn in _draws(len(ours), seed, resamples)
    ]
    ends = _percentiles(gaps)
    if shares:
        gained = sum(a[0] > b[0] for a, b in zip(ours, theirs, strict=True))
        lost = sum(a[0] < b[0] for a, b in zip(ours, theirs, strict=True))
        return Difference(value, ends, mcnemar(int(gained), int(lost)), "McNemar")
    below, above = np.mean(np.asarray(gaps) <= 0), np.mean(np.asarray(gaps) >= 0)
    return Difference(value, ends, float(min(1.0, 2 * min(below, above))), "bootstrap")


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided p of McNemar's exact test ("Note on the sampling error", Psychometrika 1947).

    Args:
        gained: Samples that only the one has right.
        lost: Samples that only the other has right.
    """
    total, fewer = gained + lost, min(gained, lost)
    tail = sum(math.comb(total, count) for count in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**total))


def _draws(
    count: int, seed: int, resamples: int
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, max(count, 1), (resamples if count else 0, count))


def _percentiles(scores: Sequence[float]) -> Interval:
    if not scores:
        return Interval(0.0, 1.0)
    low, high = np.percentile(scores, [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
