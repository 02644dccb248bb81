"""Differences of one kind, and the words that they are told in."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Sign = Literal["-", "+", "~", "="]


@dataclass(frozen=True)
class Item:
    """One difference: what it is at, and all about it."""

    name: str
    detail: str = ""


@dataclass(frozen=True)
class Group:
    """Differences of one kind.

    Attributes:
        section: ``interface``, ``removed``, ``added``, ``changed``, ``rewired``, ``values``,
            ``initialisers`` or ``renamed``.
        sign: ``-`` gone, ``+`` new, ``~`` changed, ``=`` only called otherwise.
        text: What they have in common.
        items: Each of them.
    """

    section: str
    sign: Sign
    text: str
    items: tuple[Item, ...]


def quoted(text: str) -> str:
    """`text` on one line, whatever is in it; quoted if that needs it or if it is empty."""
    return text if text and text.isprintable() else json.dumps(text, ensure_ascii=True)


def counted(words: Iterable[str]) -> str:
    """Words with their numbers, the most frequent first: ``3 Conv, 1 Relu``."""
    counts = sorted(Counter(words).items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{count} {quoted(word)}" for word, count in counts)


def placed(body: str, name: str) -> str:
    """A name, with the body that it is in."""
    return f"{quoted(body)}/{quoted(name)}" if body else quoted(name)
