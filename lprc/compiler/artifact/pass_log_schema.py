"""What ``passes.json`` holds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lprc.core.files.checked import Strict


class Row(Strict):
    """A node that a pass rewrote or left alone."""

    node: str
    operator: str
    origins: list[str]
    note: str


class PassLog(Strict):
    """One pass."""

    text: str = Field(alias="pass")
    name: str
    rewrites: list[Row]
    skips: list[Row]


class Log(Strict):
    """The whole file."""

    version: Literal[1] = Field(alias="schema")
    passes: list[PassLog]
