"""Names that a module offers without importing what they stand for, as of PEP 562."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def lazy_names(module: str, places: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """A ``__getattr__`` for `module`, which imports a name's own module when it is asked for.

    Args:
        module: Whose ``__getattr__`` it becomes.
        places: For each module the names that are taken from it; ``name=other`` is offered as
            ``name`` and called ``other`` there, and an empty ``other`` is the module itself.
    """
    homes: dict[str, tuple[str, str]] = {}
    for home, entries in places.items():
        for entry in entries:
            name, renamed, attribute = entry.partition("=")
            homes[name] = (home, attribute if renamed else name)

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        home, attribute = homes[name]
        value = importlib.import_module(home)
        if attribute:
            value = getattr(value, attribute)
        setattr(sys.modules[module], name, value)
        return value

    return get
