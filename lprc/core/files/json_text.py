"""JSON from anywhere: bounded in depth, and nothing in it that JSON does not have."""

from __future__ import annotations

import json
import re
from typing import Any

DEEPEST = 64
"""How far lists and tables may be nested; those that lprc writes are nested less than 10 deep."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def parse_json(text: str | bytes) -> Any:
    """The data of a JSON document.

    Raises:
        ValueError: Not UTF-8, not JSON, NaN or an infinity in it, a number of thousands of digits,
            or nested deeper than `DEEPEST`.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    check_depth(text)
    return json.loads(text, parse_constant=_refuse)


def check_depth(text: str, token: re.Pattern[str] = _TOKEN) -> None:
    """Refuse text whose brackets are nested too deeply, before a parser recurses into them.

    Args:
        text: JSON, or what quotes as it does.
        token: What finds brackets, and strings as a whole.

    Raises:
        ValueError: It is nested deeper than `DEEPEST`.
    """
    depth = 0
    for match in token.finditer(text):
        sign = match[0]
        depth += (sign in "[{") - (sign in "]}") if len(sign) == 1 else 0
        if depth > DEEPEST:
            raise ValueError(f"nested too deeply, more than {DEEPEST} levels")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
