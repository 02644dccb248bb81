"""Files of a bundle: as they are in the package, or from a template."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

_PACKAGE = "lprc.compiler.bundle"


def packaged(path: str) -> str:
    """The text of a file of the package.

    Args:
        path: From this package, with slashes.
    """
    return files(_PACKAGE).joinpath(path).read_text(encoding="utf-8")


def rendered(path: str, **values: Any) -> str:
    """The text of a template of the package, filled in; a name that is missing is an error."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - what comes out is no HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.from_string(packaged(path)).render(**values)
