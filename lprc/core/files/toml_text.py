"""TOML from anywhere: bounded in size and depth."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from lprc.core.errors import LprcError
from lprc.core.files.json_text import DEEPEST, check_depth
from lprc.core.files.regular import read_regular

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 2**20
"""Bytes of a file of settings; those that people write have some thousands."""

_QUOTED = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|' + r"'''.*?'''|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'|#[^\n]*",
    re.DOTALL,
)
_DOTTED = re.compile(r"[\w\- \t]*(?:\.[\w\- \t]*)+")


def read_toml(path: Path) -> str:
    """The text of a file of settings.

    Raises:
        OSError: It can't be read, or is a FIFO, a device or the like.
        ValueError: It is not UTF-8, or larger than `LARGEST`.
    """
    return read_regular(path, limit=LARGEST).decode("utf-8")


def parse_toml(text: str) -> dict[str, Any]:
    """The table that `text` is.

    Raises:
        ValueError: Not TOML, nested deeper than JSON may be, or a number of thousands of digits.
    """
    plain = _QUOTED.sub("_", text)
    check_depth(plain)
    if any(match[0].count(".") > DEEPEST for match in _DOTTED.finditer(plain)):
        raise ValueError(f"a key has more than {DEEPEST} parts")
    table: dict[str, Any] = tomllib.loads(text)
    return table


def toml_table(text: str, *, where: str, error: type[LprcError]) -> dict[str, Any]:
    """The same, with an error for people.

    Args:
        text: TOML.
        where: The file, for errors.
        error: What to raise.

    Raises:
        LprcError: Not TOML that `parse_toml` takes; of the class `error`.
    """
    try:
        return parse_toml(text)
    except ValueError as problem:
        raise error(f"not TOML: {problem}", where=where) from problem
