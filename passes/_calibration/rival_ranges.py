"""Ranges that do better at the graph's outputs than one method's, found within a fixed effort."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from lprc.core.costs.macs import node_macs
from lprc.core.graph import editing
from lprc.core.graph.annotations import Range
from lprc.core.graph.sizes import Sizes
from lprc.core.quantization.affine import Scheme
from lprc.core.running.numerics import Arrays
from lprc.core.running.observe import spread
from lprc.core.running.signal_to_noise import Outputs, SignalToNoise
from lprc.passes._calibration.estimators import Method, estimate
from lprc.passes._calibration.histogram import ActivationStatistics
from lprc.passes._calibration.simulate import Simulation

RIVALS: tuple[tuple[Method, float], ...] = (
    ("mse", 100.0),
    ("percentile", 99.999),
    ("percentile", 99.99),
    ("percentile", 99.9),
    ("min-max", 100.0),
)
"""The methods that are tried, each with the percentile of ``percentile``."""

EFFORT = 60e9
"""Multiply-accumulates in all: some seconds of one core, whatever the network."""

PER_VALUE, PER_RUN = 60, 1e7
"""What quantising one value and starting one run take, in multiply-accumulates."""

FEWEST, MOST = 4, 16
"""Samples that choose; as many others confirm."""

Ranges = Mapping[str, Range]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Choice:
    """Ranges of activations, and what they gain over those that there were.

    Attributes:
        ranges: By the activation's name.
        gain: Decibels of signal-to-noise at the outputs, over samples that chose nothing.
    """

    ranges: Ranges
    gain: float


def rival_ranges(
    model: ir.Model,
    values: Sequence[ir.Value],
    statistics: Mapping[str, ActivationStatistics],
    samples: Sequence[Arrays],
    own: Ranges,
    scheme: Scheme,
    progress: Progress,
) -> Choice:
    """The best of `RIVALS` for all of `values`, then for one after the other in graph order.

    Every trial runs the graph with its activations quantised; the error is the noise over the
    signal of each float output, added up. The second step ends with `EFFORT`, and where that is not
    enough to look at every activation once it is left out: the first few alone gain little.

    Args:
        model: The float graph.
        values: The activations that will be quantised.
        statistics: Of each, by name.
        samples: Calibration data, of which up to `MOST` choose and as many others confirm.
        own: The ranges to do better than, by name.
        scheme: How activations will be quantised.
        progress: Called with the trials done and their number.
    """
    names = [value.name or "" for value in values]
    offers = {
        name: [
            estimate(statistics[name], method, scheme, percentile=percentile)
            for method, percentile in RIVALS
        ]
        for name in names
    }
    before = {name: own[name] for name in names}
    starts: list[dict[str, Range]] = [before]
    for index in range(len(RIVALS)):
        start = {name: offers[name][index] for name in names}
        if start not in starts:
            starts.append(start)
    runs = int(EFFORT / _work(model, [statistics[name] for name in names]))
    count = min(max(runs // (4 * len(starts)), FEWEST), MOST, len(samples) // 2)
    chosen = list(spread(samples, 2 * count))
    judge = _Judge(model, values, scheme, chosen[0::2])
    trials = runs // count
    if trials < len(starts) + len(names):
        trials = len(starts)

    def error(ranges: Ranges) -> float:
        progress(min(judge.trials, trials), trials)
        return judge.error(ranges)

    errors = [error(start) for start in starts]
    best, least = starts[int(np.argmin(errors))], min(errors)
    for name in names:
        for candidate in dict.fromkeys([own[name], *offers[name]]):
            if candidate == best[name] or judge.trials >= trials:
                continue
            candidate_error = error({**best, name: candidate})
            if candidate_error < least:
                best, least = {**best, name: candidate}, candidate_error
    others = _Judge(model, values, scheme, chosen[1::2])
    return Choice(best, 10 * math.log10(_ratio(others.error(before), others.error(best))))


def _ratio(before: float, after: float) -> float:
    return 1.0 if before == after else max(before, 1e-30) / max(after, 1e-30)


def _work(model: ir.Model, statistics: Sequence[ActivationStatistics]) -> float:
    """What one run takes, in multiply-accumulates."""
    sizes = Sizes(model)
    macs = sum(node_macs(node, sizes) for graph in editing.graphs(model) for node in graph)
    numbers = sum(int(each.counts.sum()) / max(each.samples, 1) for each in statistics)
    return macs + PER_VALUE * numbers + PER_RUN


class _Judge:
    """Quantises activations of a float graph and says what that does to its outputs."""

    def __init__(
        self, model: ir.Model, values: Sequence[ir.Value], scheme: Scheme, samples: list[Arrays]
    ) -> None:
        self.trials = 0
        self._samples = samples
        self._simulation = Simulation(model, values, scheme)
        plain = Simulation(model, [], scheme)
        self._expected: list[Outputs] = [plain.run(sample, {}) for sample in samples]

    def error(self, ranges: Ranges) -> float:
        """Noise over signal of each float output, added up."""
        self.trials += 1
        ratios: dict[str, SignalToNoise] = {}
        for sample, expected in zip(self._samples, self._expected, strict=True):
            outputs = self._simulation.run(sample, ranges)
            for name, array in expected.items():
                ratios.setdefault(name, SignalToNoise()).add({name: array}, outputs)
        return sum(each.noise / each.signal for each in ratios.values() if each.signal > 0)
