"""What is found by name: in a built-in table first, then among entry points."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from lprc.core.errors import UsageError


def names(table: Mapping[str, str], group: str) -> list[str]:
    """The names in the built-in `table` and in the entry point `group`, sorted."""
    return sorted({*table, *_plugins(group)})


def is_known(name: str, table: Mapping[str, str], group: str) -> bool:
    """Whether `load` would find something of that name; nothing is imported."""
    return name in table or name in _plugins(group)


def load(
    kind: str,
    name: str,
    table: Mapping[str, str],
    group: str,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Load what `name` stands for in the built-in `table` or in the entry point `group`.

    Args:
        kind: What is loaded, for errors.
        name: Its name, or one of `aliases`.
        table: Names to ``module:attribute``.
        group: Of entry points.
        aliases: Other names to those of `table`.

    Raises:
        UsageError: Nothing has that name, or the third party's module can't be imported.
    """
    full_name = aliases.get(name, name)
    if full_name in table:
        module, _, attribute = table[full_name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    plugins = _plugins(group)
    if full_name in plugins:
        return _load_plugin(plugins[full_name])
    names = sorted({*table, *plugins, *aliases})
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"`lprc {group[5:]}` lists them"
    raise UsageError(f"unknown {kind} '{name}'", hint=hint)


def load_place(place: str, where: str) -> Any:
    """What ``module:name`` stands for.

    Raises:
        UsageError: There is none.
    """
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"can't load '{place}': {error}", where=where) from error


def _plugins(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def _load_plugin(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"can't load '{point.value}': {error}", where=f"entry point {point.name}"
        ) from error
