"""Whether an artefact is worth shipping instead of its float32 counterpart."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lprc.compiler.measure.accuracy import evaluate
from lprc.compiler.measure.bench import bench
from lprc.models.plate_config import PlateConfig

Report = Callable[[float, int], None]

LATENCY_MARGIN = 0.02
"""An artefact that is slower by less than this is as fast: latencies are not known better."""

DROP = 0.01
"""How much accuracy a quantised artefact may lose where the user gave no number."""


@dataclass(frozen=True)
class Guarded:
    """An artefact beside the float32 one of the same runtime.

    Attributes:
        target: Of the artefact.
        reference: The float32 target.
        latency_ratio: The artefact's median latency over the reference's, interleaved.
        accuracy: Of the artefact; None where there were no labels.
        reference_accuracy: Of the reference.
        size_ratio: The artefact's bytes over the reference's.
        objections: Why not to ship the artefact; empty where there is no reason.
    """

    target: str
    reference: str
    latency_ratio: float
    accuracy: float | None
    reference_accuracy: float | None
    size_ratio: float
    objections: tuple[str, ...]

    @property
    def ship(self) -> str:
        """The target to ship."""
        return self.reference if self.objections else self.target

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return vars(self) | {"objections": list(self.objections), "ship": self.ship}

    def __str__(self) -> str:
        """For instance ``ship openvino-int8: 0.31x the latency, 0.47x the size …``."""
        parts = [f"{self.latency_ratio:.2f}x the latency", f"{self.size_ratio:.2f}x the size"]
        if self.accuracy is not None and self.reference_accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.4f} against {self.reference_accuracy:.4f}")
        why = f"; {' and '.join(self.objections)}" if self.objections else ""
        return f"ship {self.ship}: {self.target} has {', '.join(parts)} of {self.reference}{why}"


def guard(
    artefact: Path,
    target: str,
    reference: str,
    compile_reference: Callable[[Path], object],
    *,
    data: Path | None = None,
    config: PlateConfig | None = None,
    max_drop: float | None = None,
    progress: Report | None = None,
) -> Guarded:
    """Compare a compiled folder with what `compile_reference` writes.

    Args:
        artefact: A folder of ``compile``.
        target: Its target.
        reference: The name of the float32 target.
        compile_reference: Writes the reference into the folder that it is given.
        data: Labelled plates to compare accuracies on.
        config: Of the plates.
        max_drop: The largest loss of accuracy; by default `DROP`.
        progress: Called with the blocks measured and their number.
    """
    with tempfile.TemporaryDirectory(prefix="lprc-guard-") as scratch:
        other = Path(scratch) / "reference"
        compile_reference(other)
        rows = bench([other, artefact], progress=progress)
        found = [evaluate(each, data, config=config) for each in (other, artefact)] if data else []
    ratio = rows[1].ratio_to_first
    objections = []
    if ratio > 1 + LATENCY_MARGIN:
        objections.append(f"{target} is slower")
    allowed = DROP if max_drop is None else max_drop
    if found and found[0].accuracy - found[1].accuracy > allowed + 1e-9:
        lost = found[0].accuracy - found[1].accuracy
        objections.append(f"{target} loses {lost:.4f} of accuracy, and {allowed:.4f} is allowed")
    return Guarded(
        target=target,
        reference=reference,
        latency_ratio=ratio,
        accuracy=found[1].accuracy if found else None,
        reference_accuracy=found[0].accuracy if found else None,
        size_ratio=rows[1].size_bytes / rows[0].size_bytes,
        objections=tuple(objections),
    )
