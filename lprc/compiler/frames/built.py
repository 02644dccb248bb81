"""Where the built networks of a pipeline lie."""

from __future__ import annotations

from pathlib import Path

from lprc.compiler.frames.opened import Networks, opened
from lprc.compiler.frames.read_pipeline import FramePipeline
from lprc.core.errors import InvalidModelError

FOLDER = "build"
"""Beside the pipeline's file: a folder for each pipeline, in it one for each network."""


def artefact_folder(pipeline: FramePipeline, name: str) -> Path:
    """Where `lprc build` puts a network of a pipeline; from the folder of its file."""
    return Path(FOLDER, pipeline.name, name)


def place_of(pipeline: FramePipeline, name: str) -> Path:
    """What runs a network: its built artefact, or the file or artefact that it names.

    Raises:
        InvalidModelError: It is to be compiled, and is not yet.
    """
    if pipeline.file.models[name].target is None:
        return pipeline.model(name)
    folder = pipeline.path.parent / artefact_folder(pipeline, name)
    if not folder.is_dir():
        raise InvalidModelError(
            "is not built yet",
            where=pipeline.key("models", name),
            hint=f"`lprc build {pipeline.path}` compiles it",
        )
    return folder


def built_networks(pipeline: FramePipeline, threads: int | None = None) -> Networks:
    """The networks of a pipeline, loaded.

    Raises:
        InvalidModelError: One is to be compiled, and is not yet.
        LprcError: As of `opened`.
    """
    places = {name: place_of(pipeline, name) for name in pipeline.file.order}
    return opened(pipeline, places, threads)
