"""What a user asks of an artefact besides being right: accuracy, and to be worth shipping."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lprc.compiler.compile.emitters import obstacle
from lprc.compiler.measure.evaluation import Evaluation
from lprc.compiler.measure.sensitivity import Search
from lprc.core.errors import AccuracyError, MissingDependencyError, UsageError
from lprc.core.passing.pipeline import Pipeline
from lprc.core.quantization.quantizer import quantizer_index
from lprc.core.targets.emitter import Emit, TargetOptions
from lprc.core.targets.target import Target
from lprc.core.tasks.image_input import ColorOrder
from lprc.core.tasks.in_graph import Part
from lprc.core.tasks.task_file import BY_MODEL, TaskChoice


@dataclass(frozen=True)
class Demands:
    """What a user asks of an artefact besides being right.

    Attributes:
        max_drop: How much the score may fall through quantisation; layers stay in float until it
            does not. None asks for nothing.
        min_accuracy: The score on `data` that the artefact must have; None asks for none.
        guard: Whether to refuse an artefact that is slower or less accurate than the float32 one.
        data: Labelled samples that give the score; without them it is the agreement with the float
            graph on the calibration data.
        task: What the model is for.
        embed: Which parts of the task become part of the graph.
        source_color: The order of colours in which images come to such a graph; None for the
            network's own.
    """

    max_drop: float | None = None
    min_accuracy: float | None = None
    guard: bool = False
    data: Path | None = None
    task: TaskChoice = BY_MODEL
    embed: tuple[Part, ...] = ()
    source_color: ColorOrder | None = None


def check_demands(demands: Demands, goal: Target, emit: Emit, options: TargetOptions) -> None:
    """Refuse demands that nothing here can judge, before any work.

    Raises:
        UsageError: Without labelled samples, without an engine, or without a float32 counterpart.
        MissingDependencyError: What would be written does not run here.
    """
    if demands.min_accuracy is not None and (demands.data is None or emit == "kit"):
        raise UsageError(
            "there is nothing to measure accuracy on",
            where="--min-accuracy",
            hint="--data DIR names labelled samples; a kit is measured on its device",
        )
    why = obstacle(goal, options) if emit == "engine" else None
    if demands.min_accuracy is not None and why is not None:
        raise MissingDependencyError(
            f"nothing can be measured: {why}", where="--min-accuracy", hint="drop it"
        )
    if not demands.guard:
        return
    if emit != "engine":
        raise UsageError(
            "there is nothing to measure without an engine", where="--guard", hint="drop --emit"
        )
    if not goal.reference:
        raise UsageError(
            f"target '{goal.name}' has no float32 counterpart", where="--guard", hint="drop it"
        )
    if why is not None:
        raise MissingDependencyError(
            f"nothing can be measured: {why}", where="--guard", hint="drop it"
        )


def check_against_search(evaluation: Evaluation, search: Search, pipeline: Pipeline) -> None:
    """Whether the artefact itself, in its own runtime, keeps what the search promised.

    Args:
        evaluation: The artefact's accuracy.
        search: Which chose the layers that stay in float.
        pipeline: With the quantising pass that left them there.

    Raises:
        AccuracyError: It does not.
    """
    accuracy = evaluation.accuracy
    if accuracy < search.wanted - 1e-9:
        quantizer = pipeline.passes[quantizer_index(pipeline)].name
        raise AccuracyError(
            f"{search.metric} of the artefact is {accuracy:.4f}, and {search.wanted:.4f} is "
            f"wanted; the lowered graph has {search.score:.4f}",
            where="--max-accuracy-drop",
            hint=f"ask for less, or leave more layers in float with {quantizer}{{exclude=…}}",
        )


def check_least(evaluation: Evaluation | None, demands: Demands) -> None:
    """Whether the artefact is as accurate as it must be.

    Raises:
        AccuracyError: It is not.
    """
    if demands.min_accuracy is None:
        return
    assert evaluation is not None  # or it was refused before
    if evaluation.accuracy < demands.min_accuracy - 1e-9:
        raise AccuracyError(
            f"{evaluation.task.metric} is {evaluation.accuracy:.4f}, "
            f"and {demands.min_accuracy:.4f} is wanted",
            where="--min-accuracy",
            hint="--max-accuracy-drop leaves layers in float until it is met",
        )
