"""What a task says of computing its answers inside the network's graph."""

from __future__ import annotations

from typing import TypeAlias

OptionTexts: TypeAlias = dict[str, "str | tuple[str, ...]"]
"""Options of a pass by name; several texts for an option that takes a list."""

GraphAnswer: TypeAlias = dict[str, OptionTexts]
"""Options by pass name, in the passes' order."""


class NotInGraphError(Exception):
    """Why answers can't be computed in a graph, in words that go on from there."""
