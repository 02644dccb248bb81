"""How large the difference between two graphs' outputs is beside the outputs themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Outputs = Mapping[str, NDArray[Any]]


@dataclass
class SignalToNoise:
    """The signal-to-noise ratio of outputs, summed up over samples."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, expected: Outputs, outputs: Outputs) -> None:
        """Take in one sample's outputs; those that are not floats do not count."""
        for name, array in expected.items():
            if array.dtype.kind != "f":
                continue
            wide = array.astype(np.float64)
            self.signal += float(np.square(wide).sum())
            self.noise += float(np.square(outputs[name].astype(np.float64) - wide).sum())

    @property
    def decibels(self) -> float:
        """``10 log10(signal / noise)``; infinite without noise."""
        if self.noise == 0.0:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal > 0 else -math.inf


def noisiest(pairs: Iterable[tuple[Outputs, Outputs]]) -> tuple[str, float]:
    """The float output with the lowest ratio, and its decibels.

    Args:
        pairs: What was expected and what came out, one a sample.

    Returns:
        An empty name and infinity where there is no float output.
    """
    ratios: dict[str, SignalToNoise] = {}
    for expected, outputs in pairs:
        for name in expected:
            ratios.setdefault(name, SignalToNoise()).add(
                {name: expected[name]}, {name: outputs[name]}
            )
    named = [(name, ratio.decibels) for name, ratio in ratios.items()]
    return min(named, key=lambda pair: pair[1], default=("", math.inf))
