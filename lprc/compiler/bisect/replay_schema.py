"""What a replay reads of a reproducer's ``bisect.json``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lprc.compiler.bisect.prefixes import Key
from lprc.core.files.checked import Open


class Replay(Open):
    """How the failure is shown again: by outputs, a command or a metric.

    Attributes:
        rewrites: Those to make, by node, operator and number.
        tolerance: How far outputs may be apart, relative to their magnitude.
        check: A command that judges the model.
        metric: What is measured, and what is too little.
    """

    rewrites: list[Annotated[Key, Field(strict=False)]] = Field(default_factory=list)
    tolerance: Annotated[float, Field(ge=0)] | None = None
    check: str | None = None
    metric: str | None = None


class Document(Open):
    """The whole file; the rest is for people."""

    replay: Replay
