"""What may stand in ``lprc.toml``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, ConfigDict, Field

from lprc.compiler.project.duration import DURATION
from lprc.core.files.checked import StrictTable

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
"""Names of models and builds: they become names of folders."""

Name = Annotated[str, Field(pattern=NAME)]
Share = Annotated[float, Field(ge=0, le=1)]
Scalar = str | int | float | bool
Names = Annotated[list[str], Field(min_length=1)]


class Samples(StrictTable):
    """Data, and how it is read."""

    calib: str | None = Field(None, description="Folder of images to calibrate and verify with.")
    data: str | None = Field(None, description="Labelled samples to measure accuracy on.")
    task: str | None = Field(
        None,
        validation_alias=AliasChoices("task", "plates"),  # its name in the first release
        description="What the model is for: a built-in task, a kind of tasks, or a TOML file.",
    )


class ProjectTable(Samples):
    """What holds for all builds that say nothing else."""

    out: str = Field("build", description="Where artefacts go: each into a folder of its name.")
    verify: Literal["off", "final", "each"] = Field(
        "final", description="When graphs are run before and after: never, once, for each pass."
    )
    seed: int = Field(0, description="Seed of random inputs.")


class Sizes(Samples):
    """What a network is run on, and at which sizes."""

    inputs: str | None = Field(
        None, description="Arrays named as the inputs to verify with: a file or a folder of them."
    )
    input_shape: dict[str, list[int]] = Field(
        default_factory=dict,
        description="Shapes of inputs that are fixed in the graph; -1 leaves a size open.",
    )
    dim: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="Sizes of symbolic dimensions to verify with."
    )


class ModelTable(Sizes):
    """A network."""

    file: str = Field(description="The ONNX file.")


Goal = Literal["latency", "size", "accuracy"]


class SearchTable(StrictTable):
    """What `lprc search` is asked for an artefact."""

    pick: Literal["fastest", "smallest"] = Field("fastest", description="Which one is built.")
    objective: Goal | Annotated[list[Goal], Field(min_length=1)] = Field(
        ["latency", "size"], description="What to make small."
    )
    max_accuracy_drop: Share = Field(
        0.005, description="How much lower than the source's score an artefact's may be."
    )
    budget: str = Field("10min", pattern=DURATION, description="How long: 90s, 10min, 1h30min.")
    trials: Annotated[int, Field(ge=1)] | None = Field(
        None, description="End after so many trials."
    )
    targets: str | Names | None = Field(
        None, description="Patterns of targets; without: all that work here."
    )
    space: str | Names | None = Field(None, description="TOML files with more knobs.")
    sampler: Literal["tpe", "nsga", "random"] = Field(
        "tpe", description="How what is tried next follows from what came of the rest."
    )
    threads: Annotated[int, Field(ge=1)] | None = Field(
        None, description="CPU threads of the runtimes."
    )


class BuildTable(Sizes):
    """One artefact, or one for each of several models and targets."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["target"]}, {"required": ["search"]}]}
    )

    model: str | Names = Field(description="A [model.NAME], or several.")
    target: str | Names | None = Field(
        None, description="What for, or several; `lprc targets` lists them."
    )
    search: SearchTable | None = Field(
        None, description="Search for the best artefact over targets instead of naming one."
    )
    out: str | None = Field(None, description="The artefact's folder, or that of the artefacts.")
    passes: str | None = Field(None, description="Pipeline text instead of the target's own.")
    then: str | None = Field(None, description="Pipeline text to run behind it.")
    options: dict[str, Scalar | list[Scalar]] = Field(
        default_factory=dict, description="The target's options; `lprc targets NAME` lists them."
    )
    emit: Literal["onnx", "engine", "kit"] = Field("engine", description="How far to go.")
    quantized: Literal["refuse", "keep"] = Field(
        "refuse", description="What to do with a model that is quantised already."
    )
    verify: Literal["off", "final", "each"] | None = Field(None, description="As in [project].")
    seed: int | None = Field(None, description="As in [project].")
    embed: list[Literal["preprocessing", "postprocessing"]] = Field(
        default_factory=list, description="Parts of the task that become part of the graph."
    )
    source_color: Literal["BGR", "RGB"] | None = Field(
        None, description="The order of colours in which pixels come to such a graph."
    )
    guard: bool = Field(False, description="Refuse what is worse than the float32 artefact.")
    max_accuracy_drop: Share | None = Field(
        None, description="Leave layers in float until accuracy drops by no more than this."
    )
    min_accuracy: Share | None = Field(
        None, description="Refuse an artefact with a lower score on `data`."
    )


class File(StrictTable):
    """The whole file."""

    project: ProjectTable = Field(default_factory=lambda: ProjectTable.model_validate({}))
    model: dict[Name, ModelTable] = Field(default_factory=dict)
    build: dict[Name, BuildTable] = Field(default_factory=dict)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lprc.toml",
        **{key: value for key, value in File.model_json_schema().items() if key != "title"},
    }
