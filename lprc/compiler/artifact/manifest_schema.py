"""What a manifest holds: the one home of its format, from which manifest.schema.json is made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema

from lprc.compiler.artifact.manifest_file import SCHEMA
from lprc.core.files.checked import Open, Strict

_SHA256 = r"^[0-9a-f]{64}$"
_NAME = r"^(?!\.{1,2}$)[^/\\\x00-\x1f]+$"
_LONGEST_NAME = 255
"""Bytes that file systems allow, at most as many characters."""


def _sha256(value: str) -> str:
    if not re.fullmatch(_SHA256.strip("^$"), value):
        raise ValueError(f"{value[:80]!r} is not a SHA-256 in hex")
    return value


def _name(value: str) -> str:
    if re.search(_NAME, value) is None or value.endswith("\n"):
        raise ValueError(f"{value[:80]!r} is not the name of a file in the folder")
    if len(value) > _LONGEST_NAME:
        raise ValueError(f"a name is longer than {_LONGEST_NAME} characters")
    return value


_NAME_SCHEMA: dict[str, Any] = {
    "title": "the name of a file in the folder",
    "type": "string",
    "pattern": _NAME,
    "maxLength": _LONGEST_NAME,
}


def _no_other_names(schema: dict[str, Any]) -> None:
    """Refuse other names: pydantic says only what holds for those of the pattern."""
    (value,) = schema.pop("patternProperties").values()
    schema.update(propertyNames=_NAME_SCHEMA, additionalProperties=value)


Sha256 = Annotated[
    str,
    AfterValidator(_sha256),
    WithJsonSchema({"title": "a SHA-256 in hex", "type": "string", "pattern": _SHA256}),
]
Name = Annotated[str, AfterValidator(_name), WithJsonSchema(_NAME_SCHEMA)]
Count = Annotated[int, Field(ge=0)]


class File(Open):
    """A file as it was."""

    sha256: Sha256
    bytes: Count


class Delta(Open):
    """How far an output is from what it should be, or why the two can't be compared."""

    output: str
    # Left out where they say nothing; the factories keep defaults out of the schema.
    mismatch: str = Field(default_factory=str)
    max_abs: float = Field(default_factory=float)
    mean_abs: float = Field(default_factory=float)
    magnitude: float = Field(default_factory=float)


class Platform(Strict):
    """What an artefact was compiled for, as far as it is not for any machine."""

    device: Literal["cpu", "cuda"]
    triple: str | None = Field(description="Of a CPU; null for any.")
    compute_capabilities: list[str] = Field(description="Of GPUs; empty for a CPU.")


class Source(Strict):
    """The model."""

    name: str
    sha256: Sha256
    bytes: Count
    weights: dict[str, File] = Field(
        default_factory=dict,
        description="Its files of external weights, by their place beside it.",
    )


class Calibration(Strict):
    """What data-driven passes saw."""

    samples: Count
    sha256: Sha256


class Build(Strict):
    """How it was made, besides target, options and pipeline."""

    emit: Literal["onnx", "engine", "kit"]
    verify: Literal["off", "final", "each"]
    seed: int


class PassEntry(Open):
    """What one pass did."""

    text: str = Field(alias="pass")
    contract: str
    rewrites: Count
    skips: dict[str, Count]
    outputs: list[Delta]


class Metric(Open):
    """A share of labelled data."""

    value: float
    correct: Count = Field(default_factory=int)
    total: Count = Field(default_factory=int)
    data_sha256: Sha256 = Field(default_factory=str)


class FoundBy(Strict):
    """The search that found it."""

    study: str
    trial: Count


class Manifest(Strict):
    """The whole file."""

    version: Literal[3] = Field(alias="schema", description="The version of this format.")
    lprc: str = Field(description="The version of lprc.")
    target: str = Field(description="The target's name.")
    runtime: str = Field(description="What runs the artefact.")
    platform: Platform
    options: dict[str, list[str]] = Field(
        description="The target's options that differ from their defaults."
    )
    precision: str = Field(description="Of the arithmetic.")
    source: Source
    calibration: Calibration | None = Field(description="Null for nothing.")
    build: Build
    config_sha256: Sha256 = Field(
        description="Of target, options, pipeline and build: equal where the same was asked for."
    )
    pipeline: str = Field(description="The passes that were run, as text.")
    passes: list[PassEntry] = Field(description="What each pass did.")
    artefact: list[Delta] = Field(description="How far its outputs are from the lowered graph's.")
    metrics: dict[str, Metric] = Field(description="What was measured on labelled data.")
    emitter: dict[str, Any] = Field(description="What the emitter says of it.")
    warnings: list[str]
    tools: dict[str, str] = Field(description="Versions of the packages that took part.")
    accuracy_search: dict[str, Any] | None = Field(None, description="Of --max-accuracy-drop.")
    search: FoundBy | None = Field(None, description="Of `lprc search --pick`.")
    deployed: list[Name] = Field(description="The files that are deployed, of those below.")
    files: dict[Name, File] = Field(
        description="All files of the folder but this one.", json_schema_extra=_no_other_names
    )


class _Plain(GenerateJsonSchema):
    """Without titles that only repeat a key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a manifest."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:lprc:manifest:{SCHEMA}",
        **Manifest.model_json_schema(schema_generator=_Plain),
        "title": f"manifest.json of an lprc artefact, schema {SCHEMA}",
    }


def schema_text() -> str:
    """``manifest.schema.json``, for other programs."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("manifest.schema.json").write_text(schema_text(), encoding="utf-8")
