"""Passes by name."""

from __future__ import annotations

from lprc.core import registry
from lprc.core.builtin import PASSES
from lprc.core.errors import UsageError
from lprc.core.passing.pass_base import Pass


def pass_names() -> list[str]:
    """The names of all passes, sorted."""
    return registry.names(PASSES, "lprc.passes")


def pass_class(name: str) -> type[Pass]:
    """The pass called `name`.

    Raises:
        UsageError: No such pass, or a third party's pass that can't be loaded.
    """
    loaded = registry.load("pass", name, PASSES, "lprc.passes")
    if not (isinstance(loaded, type) and issubclass(loaded, Pass)):
        raise UsageError(f"'{name}' is not a Pass", where="entry point group lprc.passes")
    return loaded
