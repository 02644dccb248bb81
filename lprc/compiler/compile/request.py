"""All that one compile is asked for, assembled in one place from plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx_ir as ir

from lprc.compiler.compile.demands import Demands, check_demands
from lprc.compiler.compile.emitters import read_options, require
from lprc.compiler.compile.graph_interface import interface_of_graph
from lprc.compiler.compile.input_shapes import InputShapes, fixing
from lprc.compiler.compile.samples import Samples, execution_of
from lprc.compiler.compile.settings import Execution, Memory, Observation, Report, VerifyMode
from lprc.core.errors import UsageError
from lprc.core.instruments.print_changes import check_names
from lprc.core.instruments.snapshots import check_folder
from lprc.core.onnx_io.model_io import load
from lprc.core.passing.pass_order import quantizes, serves_quantization
from lprc.core.passing.pipeline import Pipeline
from lprc.core.quantization.already import Choice, refused
from lprc.core.quantization.recognise import quantized_form
from lprc.core.targets.emitter import Emit, TargetOptions
from lprc.core.targets.target import Target
from lprc.core.targets.target import target as find_target
from lprc.core.tasks.image_input import ColorOrder
from lprc.core.tasks.in_graph import PARTS, Part, postprocessing_text, preprocessing_text
from lprc.core.tasks.task_file import task_choice


@dataclass(frozen=True)
class CompileRequest:
    """One compile, checked as far as it can be before any work.

    Attributes:
        source: The ONNX file.
        model: Its graph. It stays as it was read: passes run on copies, which share its weights.
        target: What for.
        options: The target's options.
        pipeline: The passes to run.
        out: The folder for the artefact.
        emit: How far to go.
        execution: What to run on.
        observation: What to look at meanwhile.
        memory: What to remember.
        demands: What to ask of the artefact besides being right.
    """

    source: Path
    model: ir.Model
    target: Target
    options: TargetOptions
    pipeline: Pipeline
    out: Path
    emit: Emit = "engine"
    execution: Execution = field(default_factory=Execution)
    observation: Observation = field(default_factory=Observation)
    memory: Memory = field(default_factory=Memory)
    demands: Demands = field(default_factory=Demands)


def compile_request(
    source: Path,
    target: str,
    out: Path,
    *,
    passes: str | None = None,
    then: str | None = None,
    emit: Emit = "engine",
    options: Mapping[str, tuple[str, ...]] | None = None,
    calibration: Samples | None = None,
    inputs: Samples | None = None,
    input_shapes: InputShapes | None = None,
    dims: Mapping[str, int] | None = None,
    verify: VerifyMode = "final",
    data: Path | None = None,
    max_accuracy_drop: float | None = None,
    min_accuracy: float | None = None,
    guard: bool = False,
    task: str | None = None,
    embed: Sequence[str] = (),
    source_color: ColorOrder | None = None,
    quantized: Choice = "refuse",
    seed: int = 0,
    progress: Report | None = None,
    observation: Observation | None = None,
    memory: Memory | None = None,
) -> CompileRequest:
    """What `lprc.compile` and ``lprc compile`` ask for; the source is loaded and checked here.

    Args:
        source: An ONNX file.
        target: The target's name.
        out: The folder for the artefact; an earlier artefact there is replaced.
        passes: Pipeline text instead of the target's own.
        then: Pipeline text to run behind it.
        emit: ``onnx`` stops at the lowered ONNX and needs no SDK; ``kit`` writes what builds the
            artefact on the device.
        options: The target's options, as texts by name.
        calibration: For data-driven passes: a folder of images, or arrays.
        inputs: Real inputs to verify with; None takes the first of `calibration`, or random ones
            from `seed`.
        input_shapes: Shapes of inputs that are fixed in the graph; ``""`` is the only input.
        dims: Sizes of symbolic dimensions to verify with, by symbol; the graph stays as it is.
        verify: When graphs are run and compared.
        data: Labelled samples that accuracy is measured on.
        max_accuracy_drop: Leave layers in float until accuracy drops by no more, 0 to 1.
        min_accuracy: The least score on `data`, 0 to 1.
        guard: Whether to refuse what is not worth shipping instead of the float32 artefact.
        task: What the model is for: a built-in task's name, a kind of tasks, or a TOML file.
        embed: Which parts of the task become part of the graph: ``preprocessing``, so that it
            takes bytes [N, height, width, channels], ``postprocessing``, so that it gives answers.
        source_color: The order of colours in which images come to such a graph; None for the
            network's own.
        quantized: What to do with a quantised model where the pipeline would quantise: refuse
            it, or keep its Q/DQ and leave those passes out.
        seed: Of random inputs.
        progress: Called with the steps done and their number.
        observation: What else to look at; its `progress` is the one given here.
        memory: What to remember.

    Raises:
        UsageError: An unknown target, option, pass or kind of tasks, or demands that nothing
            here can judge.
        MissingDependencyError: The target's SDK is not installed.
        InvalidModelError: A model that can't be read, or that is quantised already.
        DataError: Samples that can't be used.
    """
    observation = replace(observation or Observation(), progress=progress)
    check_folder(observation.dump_dir, out)
    goal = find_target(target)
    target_options = read_options(goal, options or {})
    choice = task_choice(task)
    demands = Demands(
        max_drop=_share(max_accuracy_drop, "--max-accuracy-drop"),
        min_accuracy=_share(min_accuracy, "--min-accuracy"),
        guard=guard,
        data=data,
        task=choice,
        embed=_parts(embed),
        source_color=source_color,
    )
    check_demands(demands, goal, emit, target_options)
    require(goal, target_options, emit)
    pipeline = _pipeline(goal, passes, then)
    if observation.printing is not None:
        check_names(observation.printing, pipeline)
    model = load(source)
    where = str(source)
    execution = execution_of(
        model,
        where,
        calibration=calibration,
        inputs=inputs,
        input_shapes=input_shapes,
        dims=dims,
        task=choice,
        verify=verify,
        seed=seed,
    )
    return CompileRequest(
        source=source,
        model=model,
        target=goal,
        options=target_options,
        pipeline=fixing(
            execution.shapes,
            _with_task(model, _for_quantized(model, pipeline, quantized, where), demands, where),
        ),
        out=out,
        emit=emit,
        execution=execution,
        observation=observation,
        memory=memory or Memory(),
        demands=demands,
    )


def _share(value: float | None, option: str) -> float | None:
    """A share as it was given.

    Raises:
        UsageError: It is none.
    """
    if value is not None and not 0 <= value <= 1:
        raise UsageError(
            f"{value} is not in the range 0 to 1",
            where=option,
            hint="give a fraction",
            option=option,
        )
    return value


def _pipeline(goal: Target, passes: str | None, then: str | None) -> Pipeline:
    pipeline = Pipeline.parse(goal.pipeline if passes is None else passes)
    if then is None:
        return pipeline
    return Pipeline((*pipeline.passes, *Pipeline.parse(then).passes))


def _parts(embed: Sequence[str]) -> tuple[Part, ...]:
    """Parts of a task by name.

    Raises:
        UsageError: There is no such part.
    """
    unknown = [name for name in embed if name not in PARTS]
    if unknown:
        raise UsageError(
            f"'{unknown[0]}' is no part of a task",
            where="--embed",
            hint=f"one of {', '.join(PARTS)}, or both",
            option="--embed",
        )
    return tuple(part for part in PARTS if part in embed)


def _with_task(model: ir.Model, pipeline: Pipeline, demands: Demands, where: str) -> Pipeline:
    """The pipeline with the parts of the task that become part of the graph at its ends.

    Raises:
        DataError: The model is not one for the task, or its answers can't be computed in a graph.
    """
    if not demands.embed:
        return pipeline
    interface = interface_of_graph(model, where)
    task = demands.task.resolve(interface)
    passes = [*pipeline.passes]
    if "preprocessing" in demands.embed:
        source = demands.source_color or task.input.color
        text = preprocessing_text(task.input, source, center=_is_symmetric(pipeline))
        passes = [*Pipeline.parse(text).passes, *passes]
    if "postprocessing" in demands.embed:
        passes += Pipeline.parse(postprocessing_text(task, interface)).passes
    return Pipeline(tuple(passes))


def _is_symmetric(pipeline: Pipeline) -> bool:
    """Whether the pipeline quantises to int8 alone, which has no place for bytes as they are."""
    quantizers = (item for item in pipeline.passes if quantizes(item.states()))
    return any(getattr(item, "scheme", None) == "symmetric" for item in quantizers)


def _for_quantized(model: ir.Model, pipeline: Pipeline, quantized: Choice, where: str) -> Pipeline:
    """The pipeline without what quantises, where `model` is quantised already.

    Raises:
        InvalidModelError: It is, and that is to be refused.
    """
    if not any(quantizes(item.states()) for item in pipeline.passes):
        return pipeline
    form = quantized_form(model)
    if form is None:
        return pipeline
    if quantized == "refuse":
        raise refused(form, where)
    return Pipeline(
        tuple(item for item in pipeline.passes if not serves_quantization(item.states()))
    )
