"""Whether an artefact is worth shipping instead of its float32 counterpart."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lprc.compiler.artifact.manifest import write_manifest
from lprc.compiler.compile.build import build_artefact
from lprc.compiler.compile.demands import Demands
from lprc.compiler.compile.emitters import read_options, require
from lprc.compiler.compile.input_shapes import fixing
from lprc.compiler.compile.request import CompileRequest
from lprc.compiler.compile.settings import Observation
from lprc.compiler.measure.bench import bench
from lprc.compiler.measure.evaluation import evaluate
from lprc.core.errors import AccuracyError
from lprc.core.options import option_texts
from lprc.core.passing.pipeline import Pipeline
from lprc.core.targets.target import target as find_target
from lprc.core.tasks.confidence import Difference
from lprc.core.tasks.task_file import BY_MODEL

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
        difference: The artefact's score less the reference's, with a paired test.
        objections: Why not to ship the artefact; empty where there is no reason.
    """

    target: str
    reference: str
    latency_ratio: float
    accuracy: float | None
    reference_accuracy: float | None
    size_ratio: float
    objections: tuple[str, ...]
    difference: Difference | None = None

    @property
    def ship(self) -> str:
        """The target to ship."""
        return self.reference if self.objections else self.target

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        difference = None if self.difference is None else self.difference.document()
        own = {"objections": list(self.objections), "difference": difference, "ship": self.ship}
        return vars(self) | own

    def __str__(self) -> str:
        """For instance ``ship openvino-int8: 0.31x the latency, 0.47x the size …``."""
        parts = [f"{self.latency_ratio:.2f}x the latency", f"{self.size_ratio:.2f}x the size"]
        if self.accuracy is not None and self.reference_accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.4f} against {self.reference_accuracy:.4f}")
        if self.difference is not None and self.difference.value:
            parts[-1] += f", {self.difference}"
        why = f"; {' and '.join(self.objections)}" if self.objections else ""
        return f"ship {self.ship}: {self.target} has {', '.join(parts)} of {self.reference}{why}"


def guard(request: CompileRequest, artefact: Path) -> Guarded:
    """Compare the artefact of `request` with its float32 counterpart, which is built for that.

    Args:
        request: What was compiled; its target has a reference.
        artefact: The folder of it, with its manifest.

    Raises:
        AccuracyError: The counterpart is the one to ship.
        LprcError: It can't be built; as of `build_artefact`.
    """
    demands, target = request.demands, request.target.name
    with tempfile.TemporaryDirectory(prefix="lprc-guard-") as scratch:
        reference = Path(scratch) / "reference"
        reference.mkdir()
        built = build_artefact(float32_counterpart(request), reference)
        write_manifest(built.manifest, reference)
        places = [reference, artefact]
        sizes = request.execution.measured_sizes
        rows = bench(places, sizes=sizes, progress=request.observation.progress)
        scores = [
            evaluate(place, demands.data, task=choice).score
            for place, choice in ((reference, demands.task), (artefact, BY_MODEL))
            if demands.data is not None
        ]
    accuracies = [score.value for score in scores]
    guarded = Guarded(
        target=target,
        reference=request.target.reference,
        latency_ratio=rows[1].ratio_to_first,
        accuracy=accuracies[1] if accuracies else None,
        reference_accuracy=accuracies[0] if accuracies else None,
        size_ratio=rows[1].size_bytes / rows[0].size_bytes,
        objections=tuple(_objections(target, rows[1].ratio_to_first, accuracies, demands)),
        difference=scores[1].less(scores[0]) if scores else None,
    )
    if guarded.objections:
        raise AccuracyError(
            str(guarded), where="--guard", hint=f"compile with --target {guarded.reference}"
        )
    return guarded


def float32_counterpart(request: CompileRequest) -> CompileRequest:
    """The same model for the target's float32 reference, with nothing asked of it but to be there.

    Raises:
        UsageError: The reference does not have the options that the target is given.
    """
    goal = find_target(request.target.reference)
    options = read_options(goal, option_texts(request.options))
    require(goal, options, "engine")
    return replace(
        request,
        target=goal,
        options=options,
        pipeline=fixing(request.execution.shapes, Pipeline.parse(goal.pipeline)),
        emit="engine",
        execution=replace(request.execution, verify="off", calibration=()),
        observation=Observation(check_passes=request.observation.check_passes),
        demands=Demands(),
    )


def _objections(
    target: str, latency_ratio: float, accuracies: Sequence[float], demands: Demands
) -> Iterator[str]:
    """Why not to ship `target`; `accuracies` are the reference's and its own, or empty."""
    if latency_ratio > 1 + LATENCY_MARGIN:
        yield f"{target} is slower"
    allowed = DROP if demands.max_drop is None else demands.max_drop
    if accuracies and accuracies[0] - accuracies[1] > allowed + 1e-9:
        lost = accuracies[0] - accuracies[1]
        yield f"{target} loses {lost:.4f} of accuracy, and {allowed:.4f} is allowed"
