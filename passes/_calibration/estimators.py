"""From what was seen of an activation to the range that is worth representing."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lprc.core.graph.annotations import Range
from lprc.core.quantization.affine import Scheme, activation_params, fake_quantize
from lprc.passes._calibration.activation_function import Function
from lprc.passes._calibration.histogram import BINS, ActivationStatistics

Method = Literal["min-max", "moving-average", "percentile", "entropy", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)

Floats = NDArray[np.float64]


def estimate(
    statistics: ActivationStatistics,
    method: Method,
    scheme: Scheme,
    *,
    percentile: float = 99.99,
    behind: Function | None = None,
) -> Range:
    """The range of an activation.

    Args:
        statistics: What calibration saw of it.
        method: ``min-max`` (all values), ``moving-average`` (the mean of each sample's extremes),
            ``percentile`` (what that percentage of the values lies in), ``entropy`` (the least
            Kullback-Leibler divergence, after Migacz, "8-bit Inference with TensorRT", 2017) or
            ``mse`` (the least squared error, after Sung et al. 2015 and Banner et al. 2019).
        scheme: How it will be quantised; ``entropy`` and ``mse`` depend on it.
        percentile: Of ``percentile``: 50 to 100, the tails cut on both sides together.
        behind: Of ``mse``: what reads the values; None where their own error is what counts.
    """
    everything = Range(min(statistics.low, 0.0), max(statistics.high, 0.0))
    if statistics.reach == 0.0 or method == "min-max":
        return everything
    if method == "moving-average":
        return Range(min(statistics.mean_low, 0.0), max(statistics.mean_high, 0.0))
    if method == "percentile":
        return _within(everything, _percentile(statistics, percentile, scheme))
    if method == "entropy":
        return _within(everything, _least_divergence(statistics, everything, scheme))
    return _within(everything, _least_square(statistics, everything, scheme, behind))


def _within(everything: Range, chosen: Range) -> Range:
    return Range(max(chosen.low, everything.low), min(chosen.high, everything.high))


def _percentile(statistics: ActivationStatistics, percentile: float, scheme: Scheme) -> Range:
    edges = np.linspace(-statistics.reach, statistics.reach, BINS + 1)
    total = statistics.counts.sum()
    if scheme == "asymmetric" and statistics.low < 0:
        tail = (1 - percentile / 100) / 2 * total
        low = edges[int(np.searchsorted(np.cumsum(statistics.counts), tail, side="right"))]
        reversed_sum = np.cumsum(statistics.counts[::-1])
        high = edges[BINS - int(np.searchsorted(reversed_sum, tail, side="right"))]
        return Range(min(float(low), 0.0), max(float(high), 0.0))
    folded = _magnitudes(statistics)
    covered = np.searchsorted(np.cumsum(folded), percentile / 100 * total, side="left")
    limit = (
        float(edges[BINS // 2 + 1 + int(covered)]) if covered < len(folded) else statistics.reach
    )
    return Range(-limit, limit)


def _magnitudes(found: ActivationStatistics) -> NDArray[np.int64]:
    """The histogram of absolute values, int64 [BINS / 2]."""
    return found.counts[BINS // 2 :] + found.counts[: BINS // 2][::-1]


FRACTIONS: list[float] = np.linspace(0.02, 1.0, 99).tolist()
"""How much of the whole range may be the clipped one."""

_STEP = 3
_COARSE = range((len(FRACTIONS) - 1) % _STEP, len(FRACTIONS), _STEP)
"""The fractions that are tried first; the last of all is one of them."""


def _least_square(
    statistics: ActivationStatistics, everything: Range, scheme: Scheme, behind: Function | None
) -> Range:
    used = np.flatnonzero(statistics.counts)
    centres, weights = statistics.centres()[used], statistics.counts[used].astype(np.float64)

    exact = centres if behind is None else behind(centres)

    @functools.cache
    def error(candidate: Range) -> float:
        rounded = fake_quantize(centres, activation_params(candidate, scheme)).astype(np.float64)
        left = exact - (rounded if behind is None else behind(rounded))
        return float(np.square(left) @ weights)

    def best_of(clipped: Callable[[float], Range]) -> Range:
        """The best of all fractions, by the best of some and those around it."""
        first = min(_COARSE, key=lambda index: error(clipped(FRACTIONS[index])))
        around = range(max(first - _STEP + 1, 0), min(first + _STEP, len(FRACTIONS)))
        return min((clipped(FRACTIONS[index]) for index in around), key=error)

    best = best_of(lambda part: Range(everything.low * part, everything.high * part))
    if scheme != "asymmetric" or everything.low == 0.0:
        return best
    # The two tails need not be cut alike.
    high = best.high
    best = min([best, best_of(lambda part: Range(everything.low * part, high))], key=error)
    low = best.low
    return min([best, best_of(lambda part: Range(low, everything.high * part))], key=error)


def _least_divergence(statistics: ActivationStatistics, everything: Range, scheme: Scheme) -> Range:
    """The threshold on the magnitude whose quantised distribution diverges least."""
    signed = scheme == "symmetric" or everything.low < 0
    levels = 128 if signed else 256
    counts = _magnitudes(statistics).astype(np.float64)
    # Exact zeros quantise exactly; their spike behind a ReLU would outvote everything else.
    counts[0] = counts[1]
    last = int(np.flatnonzero(counts).max()) + 1
    if last <= levels:
        return everything
    stops = np.unique(np.linspace(levels, last, 128).astype(int))
    divergences = [_divergence(counts, int(stop), levels) for stop in stops]
    limit = float(stops[int(np.argmin(divergences))]) * 2 * statistics.reach / BINS
    return Range(-limit, limit)


def _divergence(counts: Floats, stop: int, levels: int) -> float:
    """KL(P || Q): P with the clipped tail in its last bin, Q what `levels` levels leave of it."""
    kept = counts[:stop]
    reference = kept.copy()
    reference[-1] += counts[stop:].sum()
    level = np.arange(stop) * levels // stop
    present = kept > 0
    totals = np.bincount(level, weights=kept, minlength=levels)
    members = np.bincount(level, weights=present, minlength=levels)
    spread = np.divide(totals, members, out=np.zeros(levels), where=members > 0)
    quantized = np.where(present, spread[level], 0.0)
    p = _smooth(reference / reference.sum())
    if quantized.sum() == 0:
        return math.inf
    q = _smooth(quantized / quantized.sum())
    return float(np.sum(p * np.log(p / q)))


def _smooth(distribution: Floats) -> Floats:
    """Move a little weight to empty bins, where the divergence would be infinite."""
    empty = distribution == 0
    taken = 1e-4 * empty.sum() / max(1, (~empty).sum())
    return np.where(empty, 1e-4, np.maximum(distribution - taken, 1e-12))
