"""Text from other people's files, made fit for a terminal and for one line."""

from __future__ import annotations

import re

_ORDER = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""What turns the direction of text, and so hides what stands in it."""

_HIDDEN = "\u00ad\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
"""What takes no room, so that two names look the same; joiners stay, which scripts need."""

_RISKY = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_ORDER}{_HIDDEN}]")
_RISKY_IN_LINES = re.compile(_RISKY.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def printable(text: str, *, lines: bool = False) -> str:
    """`text` with control characters written as Python would escape them, ``\\x1b`` for instance.

    Also lone surrogates, which can't be encoded, and characters that turn text around or can't be
    seen.

    Args:
        text: Anything.
        lines: Whether line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    risky = _RISKY_IN_LINES if lines else _RISKY
    return risky.sub(lambda match: ascii(match[0])[1:-1], text)


def json_escaped(document: str) -> str:
    """JSON text with the same characters as ``\\u`` escapes, so that it says the same."""
    return _RISKY_IN_LINES.sub(_json_escape, document)


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[start : start + 2].hex()}" for start in range(0, len(units), 2))
