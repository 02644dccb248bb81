"""The models of a pipeline compiled for the framework of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lprc.compiler.artifact.artifact import Artifact, open_artifact
from lprc.compiler.artifact.manifest_file import is_artefact
from lprc.compiler.bundle.stages import Stage, counterpart, opened, stage_of
from lprc.compiler.compile.graph_interface import interface_of_graph
from lprc.compiler.compile.model import compile_model
from lprc.compiler.compile.request import compile_request
from lprc.compiler.frames.calibrate import save_crops
from lprc.compiler.frames.opened import opened as opened_networks
from lprc.compiler.frames.read_pipeline import FramePipeline
from lprc.core.errors import UsageError
from lprc.core.files.scratch import scratch_folder
from lprc.core.onnx_io.model_io import load
from lprc.core.targets.emitter import Emit
from lprc.core.targets.target import Target, target
from lprc.core.tasks.task_file import BY_MODEL

Told = Callable[[str], None]


@dataclass(frozen=True)
class Family:
    """The targets that a framework runs.

    Attributes:
        name: What the names of its targets begin with: ``tensorrt`` or ``openvino``.
        usual: The precision where the pipeline names no target.
        emit: How far a model is compiled.
        postprocessing: Whether the framework needs answers from the graph.
        options: The targets' options that say how large a batch is.
    """

    name: str
    usual: str
    emit: Emit
    postprocessing: bool
    options: Callable[[int], Mapping[str, tuple[str, ...]]]


def compiled_stages(
    pipeline: FramePipeline, family: Family, folder: Path, streams: int, told: Told
) -> list[Stage]:
    """The models of a pipeline in the order in which they run, each compiled into `folder`.

    Args:
        pipeline: The file.
        family: What for.
        folder: Each model gets a folder of its name in it.
        streams: How many frames the first model gets at once.
        told: Called with the name of the model that is compiled now.

    Raises:
        LprcError: As of `compile_request` and `compile_model`.
    """
    stages: dict[str, Stage] = {}
    for name in pipeline.file.order:
        told(name)
        edge = pipeline.file.edge_to(name)
        batch = streams if edge is None else edge.top_k
        if is_artefact(pipeline.model(name)):
            artefact, goal = opened(pipeline, name, folder / name, f"{family.name}-")
        else:
            goal = target(counterpart(pipeline.file.models[name].target, family.name, family.usual))
            artefact = _compiled(pipeline, name, goal, family, folder / name, batch, stages)
        stages[name] = stage_of(pipeline, name, artefact, goal, batch)
    return list(stages.values())


def _compiled(
    pipeline: FramePipeline,
    name: str,
    goal: Target,
    family: Family,
    out: Path,
    batch: int,
    stages: Mapping[str, Stage],
) -> Artifact:
    given = pipeline.file.models[name]
    # nvinfer and gvadetect prepare pictures themselves.
    embed = [part for part in ("postprocessing",) if family.postprocessing or part in given.embed]
    with scratch_folder(out.parent) as scratch:
        calibration = _calibration(pipeline, name, goal, stages, scratch)
        request = compile_request(
            pipeline.model(name),
            goal.name,
            out,
            passes=given.passes,
            emit=family.emit,
            options=family.options(batch),
            calibration=calibration,
            task=pipeline.task(name) or _evident_task(pipeline.model(name)),
            embed=embed,
        )
        compile_model(request)
    return open_artifact(out)


def _evident_task(model: Path) -> str:
    """The built-in task that a model is evidently for.

    Raises:
        DataError: There is none.
    """
    return BY_MODEL.chosen(interface_of_graph(load(model), str(model))).name


def _calibration(
    pipeline: FramePipeline, name: str, goal: Target, stages: Mapping[str, Stage], scratch: Path
) -> Path | None:
    """Images for a model: the pipeline's, or crops of those that the first one has."""
    own = pipeline.calib(name)
    if own is not None or "int8" not in goal.name:
        return own
    edge = pipeline.file.edge_to(name)
    first = pipeline.calib(pipeline.file.first)
    if edge is None or first is None:
        raise UsageError(
            f"{goal.name} needs images to calibrate with",
            where=pipeline.key("models", pipeline.file.first, "calib"),
            hint="name a folder of frames",
        )
    places = {stage.name: stage.lowered.parent for stage in stages.values()}
    save_crops(first, opened_networks(pipeline, places), name, scratch)
    return scratch
