"""How long each layer of a loaded model takes, as its runtime counts it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from lprc.core.running.runner import OpenJob

if TYPE_CHECKING:
    from lprc.core.running.numerics import Arrays


@dataclass(frozen=True)
class LayerTime:
    """One layer, or what a runtime made of several.

    Attributes:
        name: What the runtime calls it.
        kind: Its operator.
        kernel: The kernel that ran, where the runtime names it.
        ms: The median of its milliseconds over the runs.
    """

    name: str
    kind: str
    kernel: str
    ms: float

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return dict(vars(self))


Profiler = Callable[[OpenJob, "Arrays", int], Sequence[LayerTime]]
"""Loads a model, runs it on inputs so many times, and gives its layers in the order they ran."""

Event = tuple[str, str, str, float]
"""Name, kind, kernel and milliseconds of one layer in one run."""


def over_runs(runs: Iterable[Iterable[Event]]) -> list[LayerTime]:
    """The median of each layer over the runs, in the order of the first run.

    A layer that runs several times in a run, as in a loop, counts with their sum.
    """
    taken: dict[tuple[str, str, str], list[float]] = {}
    for events in runs:
        once: dict[tuple[str, str, str], float] = {}
        for name, kind, kernel, ms in events:
            key = (name, kind, kernel)
            once[key] = once.get(key, 0.0) + ms
        for key, ms in once.items():
            taken.setdefault(key, []).append(ms)
    return [LayerTime(*key, median(times)) for key, times in taken.items()]
