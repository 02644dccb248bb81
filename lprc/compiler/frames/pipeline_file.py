"""What may stand in a ``pipeline.toml``: models, and which crops of one the next one reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lprc.core.files.checked import StrictTable
from lprc.core.tasks.in_graph import Part

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
"""Names of models: they become names of folders."""


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Name = Annotated[str, Field(pattern=NAME)]
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Margin = Annotated[float, Field(ge=0, le=2)]
Pixels = Annotated[int, Field(ge=1, le=100_000)]
Parts = Annotated[tuple[Part, ...], BeforeValidator(_tuple)]
Names = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Margins = Annotated[tuple[Margin, Margin], BeforeValidator(_tuple)]
Sides = Annotated[tuple[Pixels, Pixels], BeforeValidator(_tuple)]
Rectify = Literal["none", "landmarks", "min-area-rectangle"]


class ModelTable(StrictTable):
    """One network; paths start from the file's folder."""

    model: Text = Field(description="An ONNX file, or the folder of an artefact.")
    target: Text | None = Field(
        None,
        description="What `lprc build` compiles it for; without one the file runs as it is. "
        "Not with an artefact.",
    )
    task: Text | None = Field(
        None, description="What it is for: a name or a file. An artefact brings its own."
    )
    calib: Text | None = Field(
        None,
        description="Images to calibrate the first model with. A later one is calibrated on the "
        "crops that the compiled models in front of it make of them.",
    )
    passes: Text | None = Field(None, description="Pipeline text instead of the target's own.")
    embed: Parts = Field((), description="Parts of the task that become part of the graph.")


class EdgeTable(StrictTable):
    """What of a detector's boxes another model reads."""

    source: Name = Field(alias="from", description="The model that finds boxes.")
    to: Name = Field(description="The model that reads what is in them.")
    margin: Margins = Field(
        (0.0, 0.0), description="Of the box's width and height, added on each side."
    )
    rectify: Rectify = Field(
        "none", description="What a crop is made straight by: the detector's four landmarks, or "
        "the least rectangle around what is brightest in the box."
    )  # fmt: skip
    min_size: Sides = Field(
        (1, 1), description="Width and height in pixels; smaller boxes are not read."
    )
    min_score: Share | None = Field(
        None, description="Boxes with less are not read; the task's shown-threshold by default."
    )
    classes: Names = Field((), description="The detector's classes that are read; none: all.")
    top_k: Annotated[int, Field(ge=1, le=10_000)] = Field(
        16, description="How many boxes of a frame are read, the best first."
    )


class PipelineFile(StrictTable):
    """The whole file. Exactly one model has no edge into it: it reads the frame."""

    models: dict[Name, ModelTable] = Field(min_length=1)
    edges: list[EdgeTable] = Field(default_factory=list)

    @property
    def first(self) -> str:
        """The model that reads the frame."""
        return self.order[0]

    @property
    def order(self) -> tuple[str, ...]:
        """The models, each behind the one whose boxes it reads.

        Raises:
            ValueError: The edges make no tree; the file's loader has refused that.
        """
        targets = {edge.to for edge in self.edges}
        (first,) = (name for name in self.models if name not in targets)
        return tuple(self.reached([first]))

    def reached(self, start: Sequence[str]) -> Iterator[str]:
        """Some models, and those that edges lead to, each behind the one whose boxes it reads."""
        names = list(start)
        for name in names:
            yield name
            names += [edge.to for edge in self.edges_from(name)]

    def edges_from(self, name: str) -> tuple[EdgeTable, ...]:
        """The edges out of a model, in the file's order."""
        return tuple(edge for edge in self.edges if edge.source == name)

    def edge_to(self, name: str) -> EdgeTable | None:
        """The edge into a model; None for the one that reads the frame."""
        return next((edge for edge in self.edges if edge.to == name), None)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file, for editors."""
    schema = PipelineFile.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "lprc pipeline.toml",
    }
