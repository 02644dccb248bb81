"""Read a ``pipeline.toml`` strictly: whatever is wrong is told with the file and the key."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from lprc.compiler.frames.pipeline_file import PipelineFile
from lprc.core.errors import DataError
from lprc.core.files.checked import checked
from lprc.core.files.toml_text import read_toml, toml_table


@dataclass(frozen=True)
class FramePipeline:
    """A pipeline file and where it lies.

    Attributes:
        path: The file, from whose folder its paths start.
        file: What it says.
    """

    path: Path
    file: PipelineFile

    @property
    def name(self) -> str:
        """What to call it: the file's stem."""
        return self.path.stem

    def model(self, name: str) -> Path:
        """The ONNX file or the artefact's folder of a model."""
        return self._place(self.file.models[name].model)

    def task(self, name: str) -> str | None:
        """The task of a model as ``--task`` takes it: a name, or a file's path."""
        given = self.file.models[name].task
        if given is None or Path(given).suffix != ".toml":
            return given
        return str(self._place(given))

    def calib(self, name: str) -> Path | None:
        """The images to calibrate a model with."""
        given = self.file.models[name].calib
        return None if given is None else self._place(given)

    def key(self, *parts: str) -> str:
        """What to call a key of the file in errors."""
        return f"{self.path}: {'.'.join(parts)}"

    def _place(self, given: str) -> Path:
        return self.path.parent / given


def read_pipeline(path: Path) -> FramePipeline:
    """The pipeline in a file.

    Raises:
        DataError: It can't be read, is not TOML, a key is missing, unknown or ill-typed, its edges
            make no tree, or a model is missing.
    """
    try:
        text = read_toml(path)
    except (OSError, ValueError) as error:
        raise DataError(f"can't be read: {error}", where=str(path), path=path) from error
    table = toml_table(text, where=str(path), error=DataError)
    file = checked(PipelineFile, table, where=str(path), error=DataError, path=path)
    pipeline = FramePipeline(path, file)
    _check_edges(pipeline)
    for name in file.models:
        _check_model(pipeline, name)
    return pipeline


def _check_edges(pipeline: FramePipeline) -> None:
    """Refuse edges of which the models make no tree."""
    file = pipeline.file
    entered: dict[str, int] = {}
    for index, edge in enumerate(file.edges):
        for key, name in (("from", edge.source), ("to", edge.to)):
            if name not in file.models:
                close = difflib.get_close_matches(name, file.models, n=1)
                guess = f"did you mean '{close[0]}'? " if close else ""
                raise DataError(
                    f"there is no [models.{name}]",
                    where=pipeline.key(f"edges.{index}", key),
                    hint=f"{guess}known: {', '.join(file.models)}",
                )
        if edge.to in entered:
            raise DataError(
                f"'{edge.to}' has an edge into it already, edges.{entered[edge.to]}",
                where=pipeline.key(f"edges.{index}", "to"),
                hint="give the second one a table [models.NAME] of its own, of the same file",
            )
        entered[edge.to] = index
    _check_roots(pipeline, entered)


def _check_roots(pipeline: FramePipeline, entered: dict[str, int]) -> None:
    """Refuse several models that read the frame, and cycles."""
    file = pipeline.file
    first = [name for name in file.models if name not in entered]
    if len(first) > 1:
        raise DataError(
            f"'{first[0]}' and '{first[1]}' have no edge into them, and one model reads the frame",
            where=pipeline.key("models", first[1]),
            hint=f'[[edges]] with to = "{first[1]}" says what it reads',
        )
    reached = set(file.reached(first))
    circling = next((name for name in file.models if name not in reached), None)
    if circling is not None:
        raise DataError(
            f"'{circling}' reads what comes of itself: the edges make a cycle",
            where=pipeline.key(f"edges.{entered[circling]}", "to"),
            hint="exactly one model has no edge into it: it reads the frame",
        )


def _check_model(pipeline: FramePipeline, name: str) -> None:
    """Refuse a model that is missing or another pipeline, and a target for an artefact."""
    table, path = pipeline.file.models[name], pipeline.model(name)
    where = pipeline.key("models", name, "model")
    if path.suffix == ".toml":
        raise DataError(
            f"'{table.model}' is a file of settings, not a model",
            where=where,
            hint="a pipeline does not contain another one: name its models here",
        )
    if not path.exists():
        raise DataError(f"'{table.model}' is missing", where=where)
    if not path.is_dir():
        return
    for key in ("target", "passes", "embed", "calib"):
        if getattr(table, key):
            raise DataError(
                "is for an ONNX file, and this model is compiled already",
                where=pipeline.key("models", name, key),
                hint=f"leave it out, or name the ONNX file that '{table.model}' was made from",
            )
