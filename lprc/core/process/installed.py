"""Whether a module can be imported, without importing it, and which version a package has."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import metadata, util


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


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of Python packages by name, of those that are installed."""
    versions = {package: _version(package) for package in packages}
    return {package: found for package, found in versions.items() if found is not None}


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
