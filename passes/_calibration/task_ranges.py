"""Ranges chosen by what they do to the outputs of the whole graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph.annotations import Range
from lprc.core.quantization.affine import Scheme
from lprc.core.running.numerics import Arrays
from lprc.core.running.observe import spread
from lprc.passes._calibration.estimators import Method, estimate
from lprc.passes._calibration.histogram import ActivationStatistics
from lprc.passes._calibration.simulate import Simulation

CANDIDATES: tuple[tuple[Method, float], ...] = (
    ("min-max", 100.0),
    ("moving-average", 100.0),
    ("percentile", 99.999),
    ("percentile", 99.99),
    ("percentile", 99.9),
    ("mse", 100.0),
    ("entropy", 100.0),
)
"""The candidates for each activation: the method, and the percentile of ``percentile``."""

SAMPLES = 32
"""Samples that choices are judged by; the statistics come from all."""

Progress = Callable[[int, int], None]


def task_ranges(
    model: ir.Model,
    values: Sequence[ir.Value],
    statistics: Mapping[str, ActivationStatistics],
    samples: Sequence[Arrays],
    scheme: Scheme,
    progress: Progress,
) -> dict[str, Range]:
    """For each of `values` the candidate with the least error at the graph's outputs.

    The best single method for all is found first; then each activation in graph order may take
    another candidate if that lowers the error further (coordinate descent, one sweep). The error
    is the noise over the signal of all float outputs: no labels are needed.

    Args:
        model: The float graph.
        values: The activations that will be quantised.
        statistics: Of each, by name.
        samples: Calibration data; `SAMPLES` of them, evenly spread, judge.
        scheme: How activations will be quantised.
        progress: Called with the candidates tried and their number.
    """
    chosen = list(spread(samples, SAMPLES))
    offers = {
        value.name or "": [
            estimate(statistics[value.name or ""], method, scheme, percentile=percentile)
            for method, percentile in CANDIDATES
        ]
        for value in values
    }
    simulation = Simulation(model, values, scheme)
    plain = Simulation(model, [], scheme)
    expected = [plain.run(inputs, {}) for inputs in chosen]
    total, done = len(CANDIDATES) * (len(offers) + 1), 0

    def error(ranges: Mapping[str, Range]) -> float:
        nonlocal done
        done += 1
        progress(min(done, total), total)
        return sum(
            _noise(outputs, simulation.run(inputs, ranges))
            for inputs, outputs in zip(chosen, expected, strict=True)
        )

    starts = [
        {name: offered[index] for name, offered in offers.items()}
        for index in range(len(CANDIDATES))
    ]
    errors = [error(start) for start in starts]
    best, least = starts[int(np.argmin(errors))], min(errors)
    for name, offered in offers.items():
        for candidate in dict.fromkeys(offered):
            if candidate == best[name]:
                continue
            candidate_error = error({**best, name: candidate})
            if candidate_error < least:
                best, least = {**best, name: candidate}, candidate_error
    return best


def _noise(expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]) -> float:
    """Noise over signal of one sample's float outputs."""
    noise = signal = 0.0
    for name, array in expected.items():
        if array.dtype.kind == "f":
            wide = array.astype(np.float64)
            noise += float(np.square(found[name] - wide).sum())
            signal += float(np.square(wide).sum())
    return noise / signal if signal > 0 else (math.inf if noise > 0 else 0.0)
