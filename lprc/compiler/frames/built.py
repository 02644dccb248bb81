"""Where the built networks of a pipeline lie, and what each is built from."""

from __future__ import annotations

from pathlib import Path

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.frames.opened import Networks, opened, single
from lprc.compiler.frames.read_pipeline import FramePipeline, read_pipeline
from lprc.compiler.frames.share import Share
from lprc.compiler.project.plan import Build
from lprc.compiler.project.state import States
from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.tasks.task_file import task_choice

FOLDER = "build"
"""Beside the pipeline's file: a folder for each pipeline, in it one for each network."""


def root_of(pipeline: FramePipeline) -> Path:
    """The folder from which the paths of a pipeline and of its builds start."""
    return pipeline.path.resolve().parent


def states_of(pipeline: FramePipeline) -> States:
    """What is remembered of the pipeline's builds."""
    return States(root_of(pipeline), pipeline.path.name)


def crops_folder(pipeline: FramePipeline, name: str) -> Path:
    """Where the crops lie that a network is calibrated on; from the pipeline's folder."""
    return crops_beside(Path(FOLDER, pipeline.name, name))


def crops_beside(artefact: Path) -> Path:
    """Where the crops lie for the network whose artefact lies there."""
    return artefact.with_name(f"{artefact.name}.crops")


def built_for_pipeline(name: str) -> bool:
    """Whether a build's name is that of a pipeline's network: no build of lprc.toml has a plus."""
    return "+" in name


def reads_crops(pipeline: FramePipeline, name: str) -> bool:
    """Whether a network is calibrated on what those in front of it cut out."""
    models = pipeline.file.models
    first = pipeline.file.first
    return name != first and models[name].calib is None and models[first].calib is not None


def build_of(pipeline: FramePipeline, name: str) -> Build | None:
    """The compile of one network; None where it runs as it is."""
    table = pipeline.file.models[name]
    if table.target is None:
        return None
    out = Path(FOLDER, pipeline.name, name)
    calib = table.calib
    if reads_crops(pipeline, name):
        calib = str(crops_folder(pipeline, name))
    arguments = ["compile", table.model, "--target", table.target, "-o", str(out)]
    for option, value in (
        ("--calib", calib),
        ("--task", table.task),
        ("--embed", ",".join(table.embed) or None),
        # Frames are: the graph turns colours round for less than a copy of each frame takes.
        ("--source-color", "RGB" if "preprocessing" in table.embed else None),
        ("--passes", table.passes),
    ):
        if value is not None:
            arguments += [option, value]
    return Build(
        f"{pipeline.name}+{name}",  # as `built_for_pipeline` tells
        Path(table.model),
        table.target,
        out,
        None if calib is None else Path(calib),
        None,
        None,
        table.task,
        tuple(arguments),
    )


def place_of(pipeline: FramePipeline, name: str) -> Path:
    """What runs a network: its built artefact, or the file or artefact that it names.

    Raises:
        InvalidModelError: It is to be compiled, and is not yet, or was from something else.
    """
    build = build_of(pipeline, name)
    if build is None:
        return pipeline.model(name)
    folder = pipeline.path.parent / build.out
    why = "not built yet"
    if folder.is_dir():
        states = states_of(pipeline)
        state = states.read(build.name)
        # Where only the artefacts came along, there is nothing to compare them with. Another
        # version of lprc or a runtime does not make them wrong.
        why = states.why_stale(build, state.surroundings) or "" if state is not None else ""
    if why:
        raise InvalidModelError(
            f"must be built: {why}",
            where=pipeline.key("models", name),
            hint=f"`lprc build {pipeline.path}` compiles it",
        )
    return folder


def networks_of(what: Path, task: str | None = None, share: Share | None = None) -> Networks:
    """What a path names, loaded: a pipeline's file, whose networks are built, or one network.

    Args:
        what: A pipeline's file, an artefact or a model file.
        task: What a network by itself is for, a name or a file; None for what it evidently is.
        share: Of the cores; all of them by default.

    Raises:
        UsageError: A task for a pipeline.
        LprcError: As of `built_networks` and `single`.
    """
    if what.suffix != ".toml":
        return single(open_artifact(what), task_choice(task), share)
    if task is not None:
        raise UsageError(
            "is for one model", where="--task", hint=f"{what} has a task for each of its models"
        )
    return built_networks(read_pipeline(what), share)


def built_networks(
    pipeline: FramePipeline, share: Share | None = None, *, weak_boxes: bool = False
) -> Networks:
    """The networks of a pipeline, loaded.

    Args:
        pipeline: The file.
        share: Of the cores; all of them by default.
        weak_boxes: Whether boxes are found that are neither shown nor read.

    Raises:
        InvalidModelError: One is to be compiled, and is not yet, or was from something else.
        LprcError: As of `opened`.
    """
    places = {name: place_of(pipeline, name) for name in pipeline.file.order}
    return opened(pipeline, places, share, weak_boxes=weak_boxes)
