"""Latencies of candidates beside the incumbent's, never by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lprc.compiler.measure.bench import bench
from lprc.compiler.measure.paired import PairedRatio
from lprc.core.running.numerics import Arrays

ROUNDS = 100
"""Runs of each in turn."""

MORE_ROUNDS = 300
"""Where `ROUNDS` do not tell a candidate from the incumbent, though it is near."""

NEAR = 0.1
"""How near it has to be to be measured again."""


def ratios_to(
    incumbent: Path,
    places: Sequence[Path],
    *,
    inputs: Arrays | None = None,
    threads: int | None = None,
    rounds: int = ROUNDS,
) -> list[PairedRatio]:
    """The latencies of artefacts over that of the incumbent, all measured in turn in one run.

    Args:
        incumbent: An artefact, or a model file.
        places: The artefacts.
        inputs: A sample to run all on; None makes one up.
        threads: CPU threads of the runtimes.
        rounds: Runs of each.

    Raises:
        LprcError: One of them fails.
    """
    rows = bench([incumbent, *places], inputs=inputs, threads=threads, rounds=rounds, warmup=10)
    return [row.ratio for row in rows[1:]]


def told_apart(
    incumbent: Path,
    places: Sequence[Path],
    *,
    inputs: Arrays | None = None,
    threads: int | None = None,
    rounds: int | None = None,
) -> list[PairedRatio]:
    """As `ratios_to`; without `rounds`, more for those near the incumbent and not told from it."""
    if rounds is not None:
        return ratios_to(incumbent, places, inputs=inputs, threads=threads, rounds=rounds)
    ratios = ratios_to(incumbent, places, inputs=inputs, threads=threads)
    open_ones = [
        index
        for index, ratio in enumerate(ratios)
        if not (ratio.is_less or ratio.is_greater) and abs(ratio.value - 1) < NEAR
    ]
    if open_ones:
        again = ratios_to(
            incumbent,
            [places[index] for index in open_ones],
            inputs=inputs,
            threads=threads,
            rounds=MORE_ROUNDS,
        )
        for index, ratio in zip(open_ones, again, strict=True):
            ratios[index] = ratio
    return ratios
