"""TOML, on every Python that lprc runs on."""

from __future__ import annotations

import sys
from typing import Any

from lprc.core.errors import LprcError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def toml_table(text: str, *, where: str, error: type[LprcError]) -> dict[str, Any]:
    """The table that `text` is.

    Args:
        text: TOML.
        where: The file, for errors.
        error: What to raise.

    Raises:
        LprcError: Not TOML; of the class `error`.
    """
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise error(f"not TOML: {problem}", where=where) from problem
    return table
