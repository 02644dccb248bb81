"""The networks of a pipeline, loaded, and the edges between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lprc.compiler.artifact.artifact import Artifact, open_artifact
from lprc.compiler.frames.network import Network
from lprc.compiler.frames.pipeline_file import EdgeTable
from lprc.compiler.frames.read_pipeline import FramePipeline
from lprc.compiler.frames.rectify import check_opencv
from lprc.compiler.frames.share import Share, share_of_cores
from lprc.core.errors import DataError, LprcError
from lprc.core.tasks.task import Task
from lprc.core.tasks.task_file import TaskChoice, task_choice
from lprc.models.tasks.detection.task import Detection

ONLY = "model"
"""What a network by itself is called."""


@dataclass(frozen=True)
class Networks:
    """What runs on frames.

    Attributes:
        networks: By name, each behind the one whose boxes it reads.
        workers: Frames that are worked on at once.
        edges: Between them, with every `min_score` known.
    """

    networks: Mapping[str, Network]
    workers: int = 1
    edges: tuple[EdgeTable, ...] = ()

    @property
    def first(self) -> Network:
        """The one that reads the frame."""
        return next(iter(self.networks.values()))

    def edge_to(self, name: str) -> EdgeTable:
        """The edge into a network that is not the first."""
        return next(edge for edge in self.edges if edge.to == name)

    def shown(self, name: str) -> float:
        """The least score of a network's boxes that are shown: no more than what is read."""
        task = self.networks[name].task
        if not isinstance(task, Detection):
            return 0.0
        read = [edge.min_score or 0.0 for edge in self.edges if edge.source == name]
        return min([task.settings.output.shown_threshold, *read])


def single(artefact: Artifact, task: TaskChoice, share: Share | None = None) -> Networks:
    """One network.

    Args:
        artefact: An artefact or a model file.
        task: What it is for.
        share: Of the cores; all of them by default.

    Raises:
        LprcError: As of `Network.opened`.
    """
    some = share or share_of_cores()
    network = Network.opened(ONLY, artefact, task, some, batch=1)
    alone = Networks({ONLY: network}, some.workers)
    network.task = without_weak_boxes(network.task, alone.shown(ONLY))
    return alone


def opened(
    pipeline: FramePipeline,
    places: Mapping[str, Path],
    share: Share | None = None,
    *,
    weak_boxes: bool = False,
) -> Networks:
    """The networks of a pipeline, or those of its beginning.

    Args:
        pipeline: The file.
        places: The artefact or the model file of each network, by name. An edge to one that is
            left out is kept: what it would read can be cut out.
        share: Of the cores; all of them by default.
        weak_boxes: Whether boxes are found that are neither shown nor read: average precision
            counts them, and nothing else does.

    Raises:
        DataError: An edge leaves a network that finds no boxes, names classes that it does not
            have, or wants landmarks that it does not give.
        LprcError: A network can't be loaded, or its task does not fit.
    """
    some = share or share_of_cores()
    order = [name for name in pipeline.file.order if name in places]
    networks = {name: _network(pipeline, name, places[name], some) for name in order}
    edges = tuple(
        _checked_edge(pipeline, index, edge, networks[edge.source])
        for index, edge in enumerate(pipeline.file.edges)
        if edge.source in networks
    )
    whole = Networks(networks, some.workers, edges)
    if not weak_boxes:
        for name, network in networks.items():
            network.task = without_weak_boxes(network.task, whole.shown(name))
    return whole


def without_weak_boxes(task: Task, least: float) -> Task:
    """The task that finds no boxes with a lower score; the others are the same.

    Suppression goes from the best box down: a weak one never takes a better one away.
    """
    if not isinstance(task, Detection):
        return task
    output = task.settings.output
    raised = output.model_copy(update={"score_threshold": max(least, output.score_threshold)})
    return Detection(task.name, task.settings.model_copy(update={"output": raised}))


def _network(pipeline: FramePipeline, name: str, place: Path, share: Share) -> Network:
    # What was compiled has a task of its own, for what is in its graph.
    compiled = pipeline.file.models[name].target is not None
    try:
        task = task_choice(None if compiled else pipeline.task(name))
        # One frame at a time; of what it cuts out there may be any number.
        batch = 1 if name == pipeline.file.first else None
        return Network.opened(name, open_artifact(place), task, share, batch)
    except LprcError as error:
        key = pipeline.key("models", name)
        error.where = f"{key}: {error.where}" if error.where else key
        raise


def _checked_edge(
    pipeline: FramePipeline, index: int, edge: EdgeTable, source: Network
) -> EdgeTable:
    """The edge with its `min_score`.

    Raises:
        DataError: It does not fit the network that it leaves.
    """
    key = f"edges.{index}"
    task = source.task
    if not isinstance(task, Detection):
        raise DataError(
            f"task '{task.name}' of '{edge.source}' finds no boxes",
            where=pipeline.key(key, "from"),
            hint="an edge leaves a model whose task is of kind detection",
        )
    unknown = [name for name in edge.classes if name not in task.classes]
    if unknown:
        raise DataError(
            f"'{edge.source}' has no class '{unknown[0]}'",
            where=pipeline.key(key, "classes"),
            hint=f"its task's: {', '.join(task.classes[:8])}",
        )
    if edge.rectify == "landmarks" and not task.settings.output.landmarks:
        raise DataError(
            f"task '{task.name}' of '{edge.source}' gives no landmarks",
            where=pipeline.key(key, "rectify"),
            hint="[output] landmarks of its task file names the output of four points of each box",
        )
    if edge.rectify == "min-area-rectangle":
        check_opencv()
    if edge.min_score is not None:
        return edge
    return edge.model_copy(update={"min_score": task.settings.output.shown_threshold})
