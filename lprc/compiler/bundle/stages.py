"""The models of a pipeline as a bundle has them: compiled, with their task and what is in front."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc.compiler.artifact.artifact import LOWERED, Artifact, open_artifact
from lprc.compiler.artifact.task_files import DEPLOYMENT
from lprc.compiler.compile.graph_interface import interface_of_graph
from lprc.compiler.frames.pipeline_file import EdgeTable
from lprc.compiler.frames.read_pipeline import FramePipeline
from lprc.core.errors import DataError
from lprc.core.files.checked import Open, checked_json
from lprc.core.graph import editing
from lprc.core.onnx_io.model_io import load
from lprc.core.targets.target import Target, target
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.task import Task


@dataclass(frozen=True)
class Stage:
    """One model of a pipeline.

    Attributes:
        name: In the pipeline file.
        number: From 1, in the order in which they run.
        source: The number of the model whose boxes it reads; None for the one that reads frames.
        edge: How it comes by those boxes.
        onward: The edges to the models that read its boxes.
        task: What it is for, fitted to the lowered graph.
        task_name: What its task was called when it was compiled.
        target: What it was lowered for.
        lowered: The lowered graph's file.
        graph: The lowered graph.
        interface: What it takes and gives.
        batch: The largest batch that it is run with.
        where: What to call it in errors.
    """

    name: str
    number: int
    source: int | None
    edge: EdgeTable | None
    onward: tuple[EdgeTable, ...]
    task: Task
    task_name: str
    target: Target
    lowered: Path
    graph: ir.Model
    interface: Interface
    batch: int
    where: str

    @cached_property
    def output_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The sizes of each output behind the axis of the batch, by name.

        Raises:
            DataError: One is not fixed.
        """
        return {
            str(value.name): self._sizes(value, str(value.name))
            for value in self.graph.graph.outputs
        }

    @property
    def output_types(self) -> Mapping[str, ir.DataType | None]:
        """The element types of the outputs by name."""
        return {str(value.name): value.dtype for value in self.graph.graph.outputs}

    @property
    def identifier(self) -> str:
        """Its name as a part of C identifiers."""
        return self.name.replace("-", "_")

    def _sizes(self, value: ir.Value, name: str) -> tuple[int, ...]:
        sizes = [editing.dimension(value, axis) for axis in range(editing.rank(value) or 0)]
        if len(sizes) < 2 or None in sizes[1:]:
            raise DataError(
                f"output '{name}' has no fixed size behind its batch",
                where=self.where,
                hint="fix the input's size: `lprc opt --passes set-input-shape{…}`",
            )
        return tuple(int(size or 0) for size in sizes[1:])


def numbers(pipeline: FramePipeline) -> Mapping[str, int]:
    """The number of each model, from 1, in the order in which they run."""
    return {name: number for number, name in enumerate(pipeline.file.order, 1)}


def stage_of(
    pipeline: FramePipeline, name: str, artefact: Artifact, goal: Target, batch: int
) -> Stage:
    """A model of the pipeline from its artefact.

    Args:
        pipeline: The file.
        name: The model in it.
        artefact: The model compiled.
        goal: What for.
        batch: The largest batch.

    Raises:
        DataError: The artefact carries no task, or one that does not fit.
    """
    where = pipeline.key("models", name)
    if artefact.task is None:
        raise DataError(
            "the artefact carries no task.toml", where=where, hint="compile it with --task"
        )
    file, number = pipeline.file, numbers(pipeline)
    edge = file.edge_to(name)
    lowered = artefact.path / LOWERED
    graph = load(lowered)
    interface = interface_of_graph(graph, where)
    return Stage(
        name=name,
        number=number[name],
        source=None if edge is None else number[edge.source],
        edge=edge,
        onward=file.edges_from(name),
        task=artefact.task.fitted(interface),
        task_name=_task_name(artefact.path),
        target=goal,
        lowered=lowered,
        graph=graph,
        interface=interface,
        batch=interface.fixed_batch or batch,
        where=where,
    )


class _Deployment(Open):
    """What matters of ``deployment.json``."""

    name: str


def _task_name(folder: Path) -> str:
    return checked_json(_Deployment, folder / DEPLOYMENT, error=DataError).name


def opened(
    pipeline: FramePipeline, name: str, folder: Path, allowed: str
) -> tuple[Artifact, Target]:
    """A copy in `folder` of the artefact that the pipeline names for a model, and its target.

    Args:
        pipeline: The file.
        name: The model in it.
        folder: Where the copy goes.
        allowed: What its target's name has to begin with.

    Raises:
        DataError: It is for another runtime.
        InvalidModelError: It is no artefact.
    """
    artefact = open_artifact(pipeline.model(name))
    manifest: dict[str, Any] = artefact.manifest or {}
    goal = target(manifest["target"])
    if not goal.name.startswith(allowed):
        raise DataError(
            f"the artefact is for {goal.name}, and this bundle takes {allowed}*",
            where=pipeline.key("models", name, "model"),
            hint="name the ONNX file instead: the bundle compiles it",
        )
    shutil.copytree(artefact.path, folder)
    return open_artifact(folder), goal


def counterpart(name: str | None, family: str, usual: str) -> str:
    """The target of another family in the precision of the one that a pipeline names.

    Args:
        name: The pipeline's target; None for none.
        family: ``tensorrt`` or ``openvino``.
        usual: The precision where there is no target, as targets are called.
    """
    if name is None:
        return f"{family}-{usual}"
    goal = target(name)
    if goal.name.startswith(f"{family}-"):
        return goal.name
    _, _, precision = goal.name.partition("-")
    return f"{family}-{_PRECISIONS.get(precision, precision)}"


_PRECISIONS = {"": "fp32", "qdq": "int8"}
"""What targets call the precision whose names do not end with it: onnx and onnx-qdq."""


def common(values: Sequence[Any], key: str, stage: Stage, framework: str) -> Any:
    """The one value that all edges out of a model have.

    Raises:
        DataError: They have several.
    """
    if any(value != values[0] for value in values):
        raise DataError(
            f"edges from '{stage.name}' have {key} {', '.join(map(str, values))}, and "
            f"{framework} has one for each detector",
            where=stage.where,
            hint=f"give them the same {key}",
        )
    return values[0]


def edge_classes(stage: Stage, parent: Stage) -> tuple[str, ...]:
    """The classes of boxes that a model reads, of those that the one in front has; empty for all.

    Raises:
        DataError: There is no such class.
    """
    wanted = () if stage.edge is None else stage.edge.classes
    names: Sequence[str] = parent.task.settings.output.classes  # type: ignore[attr-defined]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise DataError(
            f"'{unknown[0]}' is no class of '{parent.name}'",
            where=f"{stage.where}: classes of the edge from '{parent.name}'",
            hint=f"one of {', '.join(names)}",
        )
    return tuple(wanted)


def least_score(stage: Stage, framework: str) -> float:
    """The score that a detector's boxes must have: the edges', else the task's for showing.

    Raises:
        DataError: As of `common`.
    """
    output = stage.task.settings.output  # type: ignore[attr-defined]
    shown = float(output.shown_threshold)
    if not stage.onward:
        return shown
    scores = [shown if edge.min_score is None else edge.min_score for edge in stage.onward]
    return float(common(scores, "min-score", stage, framework))
