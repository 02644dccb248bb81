"""Whether an artefact is as near to the float model as the quantised graph that it was made from.

A runtime that fuses a DequantizeLinear, an operator and a QuantizeLinear rounds elsewhere than the
graph does. In a network that quantisation moves by a tenth, both results may be equally good and a
tenth apart: what tells a good artefact from a broken one is the float model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from lprc.core.running.numerics import Arrays, OutputDelta, RunError
from lprc.core.running.runner import Runs as RunsGraph
from lprc.core.running.signal_to_noise import Outputs, SignalToNoise

LEAST = 10.0
"""Decibels of the lowered graph's output from which on its distance from float judges alone."""

LEAST_BESIDE = 3.0
"""Decibels below which it judges nothing: noise of half of what float puts out."""

SLACK = 1.0
"""Decibels that an artefact may be farther from float than its lowered graph: 12 % in amplitude."""

Runs = Sequence[tuple[Outputs, Outputs]]
"""What the lowered graph and the artefact put out for each sample."""


def farther_from_float(
    bad: Iterable[OutputDelta],
    runs: Runs,
    samples: Iterable[Arrays],
    source: Callable[[], RunsGraph],
) -> list[OutputDelta]:
    """Those of `bad` that are farther from the float model in the artefact than in the graph.

    Below `LEAST` decibels much that is wrong is as near to float as the graph is. There the
    artefact is as near to the graph, too, as that is to float.

    Args:
        bad: Outputs that the two put out differently.
        runs: Their outputs, of both with the same names.
        samples: The inputs, as many as `runs`.
        source: Opens the float model. Where it takes other inputs, nothing can be said.
    """
    suspects = list(bad)
    if any(delta.mismatch is not None for delta in suspects):
        return suspects
    try:
        session = source()
        expected = [session.run(sample) for sample in samples]
    except RunError:
        return suspects
    return [delta for delta in suspects if not _as_true(delta.name, expected, runs)]


def _as_true(name: str, expected: Sequence[Outputs], runs: Runs) -> bool:
    graph, artefact, between = SignalToNoise(), SignalToNoise(), SignalToNoise()
    for wanted, (lowered, emitted) in zip(expected, runs, strict=True):
        if name not in wanted or wanted[name].shape != lowered[name].shape:
            return False
        graph.add({name: wanted[name]}, lowered)
        artefact.add({name: wanted[name]}, emitted)
        between.add({name: lowered[name]}, emitted)
    if not math.isfinite(graph.decibels) or graph.decibels < LEAST_BESIDE:
        return False
    is_near_graph = graph.decibels >= LEAST or between.decibels >= graph.decibels
    return is_near_graph and artefact.decibels >= graph.decibels - SLACK
