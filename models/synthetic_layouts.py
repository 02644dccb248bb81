"""Invented number-plate layouts: which characters stand where, and in which colours.

No country issues these plates; a real design would bring a licence and a bias with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
"""A to Z without I, O and Q, which look like 1 and 0."""

DIGITS = "0123456789"

SEPARATOR = "-"
"""Drawn as a bar or a dot and never part of the label."""

PATTERNS = (
    "LLL-DDDD",
    "LL DD LLL",
    "DDD-LLL",
    "LDDDDLL",
    "LL-DDD-LL",
    "DD LLL DD",
    "LLLDDD",
    "L-DDDDD",
    "LLDDDDLL",
    "DDDD LLD",
)
"""L is a letter, D a digit, a space a gap. At most 8 characters are read, because LPRNet has 18
time steps and CTC needs a blank between equal neighbours."""

Colour = tuple[int, int, int]
"""Red, green, blue, each 0 to 255."""


@dataclass(frozen=True)
class Style:
    """Colours of the plate, of its characters and of its bands."""

    plate: Colour
    ink: Colour
    band: Colour


STYLES = (
    Style(plate=(236, 236, 232), ink=(24, 24, 30), band=(40, 110, 90)),
    Style(plate=(240, 238, 225), ink=(30, 40, 110), band=(200, 120, 30)),
    Style(plate=(238, 196, 40), ink=(28, 26, 20), band=(120, 30, 90)),
    Style(plate=(28, 44, 96), ink=(236, 236, 240), band=(210, 210, 80)),
    Style(plate=(34, 34, 38), ink=(230, 228, 215), band=(180, 60, 40)),
    Style(plate=(24, 92, 62), ink=(240, 240, 236), band=(230, 230, 230)),
    Style(plate=(196, 222, 236), ink=(110, 20, 30), band=(60, 60, 150)),
)

BANDS = ("none", "left", "right", "both", "top", "bottom")
"""Where the coloured bands stand."""


def sample_text(rng: np.random.Generator) -> str:
    """Return the characters of one plate as drawn, separators and gaps included."""
    pattern = PATTERNS[rng.integers(len(PATTERNS))]
    choices = {"L": LETTERS, "D": DIGITS}
    return "".join(
        choices[place][rng.integers(len(choices[place]))] if place in choices else place
        for place in pattern
    )


def label_of(text: str) -> str:
    """Return what is read from ``text``: its letters and digits."""
    return text.replace(SEPARATOR, "").replace(" ", "")
