"""What a kind of rule consists of: a check over a graph, and the parameters that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing

Finding = tuple[str, str]
"""Where a rule is broken, and a detail that follows the rule's message."""

Reader = Callable[[Any, str], Any]
"""Turns a value from TOML into a parameter, given where it stands; raises UsageError."""


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kind of rule; it must be given unless it has a default."""

    read: Reader
    default: Any = REQUIRED


@dataclass(frozen=True)
class Kind:
    """A kind of rule.

    Attributes:
        check: Called with the model and the parameters by name.
        parameters: By name, in the order in which they are shown.
    """

    check: Callable[..., Iterator[Finding]]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def whole_number(value: Any, where: str) -> int:
    """Read a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError("must be a whole number", where=where)
    return value


def names(value: Any, where: str) -> tuple[str, ...]:
    """Read a list of strings."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError("must be a list of strings", where=where)
    return tuple(value)


def flag(value: Any, where: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise UsageError("must be true or false", where=where)
    return value


def element_types(value: Any, where: str) -> tuple[str, ...]:
    """Read a list of ONNX element types, for instance ``INT8``."""
    found = names(value, where)
    for name in found:
        if name not in ir.DataType.__members__:
            raise UsageError(
                f"unknown element type '{name}'", where=where, hint="for instance INT8, FLOAT16"
            )
    return found


def choice(*known: str) -> Reader:
    """A reader of one of the strings `known`."""

    def read(value: Any, where: str) -> str:
        if value not in known:
            raise UsageError(
                "must be one of " + ", ".join(f'"{each}"' for each in known), where=where
            )
        return str(value)

    return read


def nodes(model: ir.Model) -> Iterator[ir.Node]:
    """All nodes of the main graph, then those of the graphs inside it."""
    for graph in editing.graphs(model):
        yield from graph
