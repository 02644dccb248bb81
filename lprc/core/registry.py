"""Passes and targets by name: the built-in table first, then entry points."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lprc.core.builtin import PASSES
from lprc.core.errors import UsageError
from lprc.core.pass_base import Pass


def pass_names() -> list[str]:
    """The names of all passes, sorted."""
    return names(PASSES, "lprc.passes")


def names(table: Mapping[str, str], group: str) -> list[str]:
    """The names in the built-in `table` and in the entry point `group`, sorted."""
    return sorted({*table, *_plugins(group)})


def pass_class(name: str) -> type[Pass]:
    """The pass called `name`.

    Raises:
        UsageError: No such pass, or a third party's pass that can't be loaded.
    """
    loaded = load("pass", name, PASSES, "lprc.passes")
    if not (isinstance(loaded, type) and issubclass(loaded, Pass)):
        raise UsageError(f"'{name}' is not a Pass", where="entry point group lprc.passes")
    return loaded


def load(kind: str, name: str, table: Mapping[str, str], group: str) -> Any:
    """Load what `name` stands for in the built-in `table` or in the entry point `group`.

    Raises:
        UsageError: Nothing has that name, or the third party's module can't be imported.
    """
    if name in table:
        module, _, attribute = table[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    plugins = _plugins(group)
    if name in plugins:
        return _load_plugin(plugins[name])
    known = sorted({*table, *plugins})
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"`lprc {group[5:]}` lists them"
    raise UsageError(f"unknown {kind} '{name}'", hint=hint)


def _plugins(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def _load_plugin(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"can't load '{point.value}': {error}", where=f"entry point {point.name}"
        ) from error
