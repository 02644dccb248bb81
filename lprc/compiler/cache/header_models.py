"""What stands in the headers of entries that compiles with passes read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from lprc.core.files.checked import Strict

# JSON has lists.
Event = Annotated[tuple[str, str, list[str], str], Field(strict=False)]
Part = Annotated[tuple[str, int], Field(strict=False)]


class PassHeader(Strict):
    """What a pass did, and the hash of the model that it left."""

    after: str
    rewrites: list[Event]
    skips: list[Event]


class ModelHeader(Strict):
    """The graphs in the payload, and which elements of the first one's weights are left."""

    parts: list[Part]
    kept: dict[str, list[int]]


class EmittedHeader(Strict):
    """The files in the payload, and what the emitter said of them."""

    parts: list[Part]
    files: list[str]
    report: dict[str, Any]
    warnings: list[str]
