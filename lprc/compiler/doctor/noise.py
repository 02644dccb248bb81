"""What difference of latencies can be told apart here, found out by measuring none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.compiler.measure.bench import BLOCK, PAUSE, SETTLE, bench

SECONDS = 10.0
"""How long the self-test takes."""

USUAL_ROUNDS = 200
"""Those of ``lprc bench``."""

_PILOT = 5 * BLOCK
_HUNDREDTH = 0.01


@dataclass(frozen=True)
class Noise:
    """How noisy latencies are.

    Attributes:
        rounds: Runs of each of two copies of one network, in turn.
        median_ms: The median latency of one run.
        spread: The 95th percentile over the median.
        ratio: The one copy's latency over the other's, which should be 1.
        interval: The ends of its 95 % confidence interval.
        chance: Half of the interval's width, brought to `USUAL_ROUNDS` by their square root.
    """

    rounds: int
    median_ms: float
    spread: float
    ratio: float
    interval: tuple[float, float]
    chance: float

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            **vars(self),
            "interval": list(self.interval),
            "resolution": self.resolution,
            "rounds_for_a_hundredth": self.rounds_for_a_hundredth,
        }

    @property
    def bias(self) -> float:
        """How far the ratio is from 1, which more rounds do not mend."""
        return abs(self.ratio - 1)

    @property
    def resolution(self) -> float:
        """The least relative difference that `USUAL_ROUNDS` rounds tell apart."""
        return self.bias + self.chance

    @property
    def rounds_for_a_hundredth(self) -> int | None:
        """How many rounds of ``lprc bench`` tell a difference of 1 % apart; None if none do."""
        if self.bias >= _HUNDREDTH:
            return None
        return max(1, math.ceil(USUAL_ROUNDS * (self.chance / (_HUNDREDTH - self.bias)) ** 2))


def noise(
    model: Path,
    *,
    seconds: float = SECONDS,
    threads: int | None = None,
    progress: Callable[[float, int], None] | None = None,
) -> Noise:
    """Measure a model against itself in ONNX Runtime, as ``lprc bench`` measures two.

    Args:
        model: An ONNX file with inputs of fixed sizes.
        seconds: How long.
        threads: CPU threads.
        progress: Called with the blocks done and their number.
    """
    pilot = bench([model, model], rounds=_PILOT, threads=threads)[0]
    turn = 2 * (PAUSE + (BLOCK + SETTLE) * pilot.median_ms / 1e3)
    rounds = BLOCK * max(8, int(seconds / turn))
    first, second = bench([model, model], rounds=rounds, threads=threads, progress=progress)
    low, high = second.ratio.low, second.ratio.high
    return Noise(
        rounds=rounds,
        median_ms=first.median_ms,
        spread=first.p95_ms / first.median_ms,
        ratio=second.ratio_to_first,
        interval=(low, high),
        chance=(high - low) / 2 * math.sqrt(rounds / USUAL_ROUNDS),
    )
