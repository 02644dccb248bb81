"""What a user asks of a quantised artefact besides being right: accuracy, and to be worth it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from lprc.compiler.measure.accuracy import Evaluation, config_for, image_input
from lprc.compiler.measure.fidelity import AgreementJudge, Judge, PlateJudge
from lprc.compiler.measure.sensitivity import Quantizable, Search, search
from lprc.core.errors import AccuracyError, DataError
from lprc.core.graph import editing
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.numerics import Arrays
from lprc.models.plate_config import PlateConfig


@dataclass(frozen=True)
class Demands:
    """What a user asks of an artefact besides being right.

    Attributes:
        max_drop: How much the score may fall through quantisation; layers stay in float until it
            does not. None asks for nothing.
        min_accuracy: The plate accuracy on `data` that the artefact must have; None asks for none.
        guard: Whether to refuse an artefact that is slower or less accurate than the float32 one.
        data: Labelled plates that give the score; without them it is the agreement with the float
            graph on the calibration data.
        config: Of the plates; None chooses it by the model.
        progress: Called with the steps done and their number.
    """

    max_drop: float | None = None
    guard: bool = False
    data: Path | None = None
    config: PlateConfig | None = None
    progress: Callable[[float, int], None] | None = None
    min_accuracy: float | None = None


def find_layers(
    model: ir.Model,
    pipeline: Pipeline,
    calibration: Sequence[Arrays],
    demands: Demands,
    where: str,
) -> tuple[Search, Pipeline]:
    """The layers that must stay in float, and the pipeline that leaves them there.

    Args:
        model: The source graph; it is changed in place.
        pipeline: With an ``insert-qdq`` in it.
        calibration: For the data-driven passes.
        demands: With a `max_drop`.
        where: What to call the model in errors.

    Raises:
        AccuracyError: The demands can't be met.
        DataError: Neither labelled nor calibration data, or none that the model fits.
    """
    if demands.data is None and not calibration:
        raise DataError(
            "there is nothing to measure accuracy on",
            where="--max-accuracy-drop",
            hint="--data DIR names labelled plates; --calib DIR images without labels",
        )
    assert demands.max_drop is not None
    shapes = {
        str(value.name): tuple(
            editing.dimension(value, axis) for axis in range(editing.rank(value) or 0)
        )
        for value in model.graph.inputs
        if not value.is_initializer()
    }
    graph = Quantizable(model, pipeline, calibration)
    judge: Judge
    if demands.data is None:
        judge = AgreementJudge(graph.reference, calibration)
        samples = calibration
    else:
        session = graph.reference
        name = image_input(shapes, session.output_names, where)
        config = demands.config or config_for(
            shapes[name],
            lambda plates: session.run({name: plates})[session.output_names[0]],
            where,
        )
        judge = PlateJudge(demands.data, config, shapes[name][0] or 1)
        samples = calibration or judge.samples(name)
    found = search(graph, judge, samples, demands.max_drop, progress=demands.progress)
    return found, graph.pipeline(found.excluded)


def check_artefact(measured: Evaluation, found: Search) -> None:
    """Whether the artefact itself, in its own runtime, keeps what the search found.

    Raises:
        AccuracyError: It does not.
    """
    accuracy = measured.accuracy
    if accuracy < found.wanted - 1e-9:
        raise AccuracyError(
            f"{found.metric} of the artefact is {accuracy:.4f}, and {found.wanted:.4f} is wanted; "
            f"the lowered graph has {found.score:.4f}",
            where="--max-accuracy-drop",
            hint="ask for less, or leave more layers in float with insert-qdq{exclude=…}",
        )


def check_least(measured: Evaluation | None, demands: Demands) -> None:
    """Whether the artefact is as accurate as it must be.

    Raises:
        AccuracyError: It is not.
    """
    if demands.min_accuracy is None:
        return
    assert measured is not None  # or it was refused before
    if measured.accuracy < demands.min_accuracy - 1e-9:
        raise AccuracyError(
            f"plate accuracy is {measured.accuracy:.4f}, and {demands.min_accuracy:.4f} is wanted",
            where="--min-accuracy",
            hint="--max-accuracy-drop leaves layers in float until it is met",
        )
