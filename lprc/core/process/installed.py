"""Whether a module can be imported, without importing it."""

from __future__ import annotations

from importlib import util


def is_installed(module: str) -> bool:
    """Whether there is a module called `module`, dotted or not.

    A folder of that name that holds no package is none, though Python would import it.
    """
    try:
        found = util.find_spec(module)
    except ModuleNotFoundError:  # the package that `module` would be in
        return False
    return found is not None and found.origin is not None


def is_any_installed(modules: str) -> bool:
    """Whether one of ``a|b`` is installed."""
    return any(map(is_installed, modules.split("|")))
