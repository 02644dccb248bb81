"""What a report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lprc.compiler.compile.optimize import Optimized
from lprc.compiler.measure.bench import BenchRow
from lprc.compiler.measure.evaluation import Evaluation
from lprc.compiler.measure.sensitivity import LayerSensitivity
from lprc.compiler.report.history import Step


class Measurement(Protocol):
    """A model or artefact with what was measured of it; None for what was not."""

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def size_bytes(self) -> int:
        """Of its deployed files."""

    @property
    def evaluation(self) -> Evaluation | None:
        """How well it does its task."""

    @property
    def latency(self) -> BenchRow | None:
        """Its latency."""


@dataclass(frozen=True)
class Findings:
    """What a compile found.

    Attributes:
        source: The model's file name.
        target: The target's name.
        optimized: What the passes did.
        steps: The graph after each pass that changed it, the source first (`History.steps`).
        manifest: The artefact's.
        measurements: The float32 source first, the artefact last; may be empty.
        sensitivity: Of layers, where it was asked for.
    """

    source: str
    target: str
    optimized: Optimized
    steps: Sequence[Step]
    manifest: Mapping[str, Any]
    measurements: Sequence[Measurement] = ()
    sensitivity: Sequence[LayerSensitivity] = ()
