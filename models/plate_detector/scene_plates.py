"""Draw the plates of street scenes, frontal and clean: one or two rows, many proportions.

The proportions and the coloured bands are those of European, American, Brazilian and motorcycle
plates; the texts are invented, and no design of a country is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from lprc.models.synthetic_layouts import DIGITS, LETTERS, Colour, sample_text
from lprc.models.synthetic_render import PLATE_SIZE, SURROUND, draw_plate, text_line

_FACE_HEIGHT = 56
_WHITE, _YELLOW, _GREY = (238, 238, 234), (240, 200, 50), (196, 198, 200)
_BLACK, _BLUE, _RED, _GREEN = (22, 22, 26), (24, 52, 140), (150, 24, 30), (20, 90, 50)


@dataclass(frozen=True)
class FaceLayout:
    """The frame of a plate that the texts are put into.

    Attributes:
        aspect: Width over height.
        rows: Lines of characters.
        band: Where a coloured band stands: ``none``, ``left``, ``both`` or ``top``.
        caption: Whether a small line stands above or below the characters.
    """

    aspect: float
    rows: int
    band: str = "none"
    caption: bool = False


_LAYOUTS = (
    (FaceLayout(520 / 110, 1, "left"), 0.4),
    (FaceLayout(520 / 110, 1, "both"), 0.08),
    (FaceLayout(520 / 110, 1), 0.12),
    (FaceLayout(400 / 130, 1, "top"), 0.1),
    (FaceLayout(305 / 152, 1, caption=True), 0.14),
    (FaceLayout(300 / 200, 2), 0.06),
    (FaceLayout(240 / 130, 2, "left"), 0.06),
    (FaceLayout(200 / 170, 2), 0.04),
)
_COLOURS: tuple[tuple[Colour, Colour, float], ...] = (
    (_WHITE, _BLACK, 0.56),
    (_YELLOW, _BLACK, 0.18),
    (_GREY, _BLACK, 0.08),
    (_WHITE, _BLUE, 0.05),
    (_WHITE, _RED, 0.04),
    (_WHITE, _GREEN, 0.03),
    (_BLACK, _WHITE, 0.03),
    (_BLUE, _WHITE, 0.03),
)


def plate_face(rng: np.random.Generator) -> Image.Image:
    """Return one plate, RGB, cropped to its rim, about 50 pixels high.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    if rng.random() < 0.3:
        return bare_plate(sample_text(rng), rng)
    layout, _ = _LAYOUTS[_pick([share for _, share in _LAYOUTS], rng)]
    plate, ink, _ = _COLOURS[_pick([share for _, _, share in _COLOURS], rng)]
    return _draw_face(layout, plate, ink, rng)


def bare_plate(text: str, rng: np.random.Generator) -> Image.Image:
    """Return the plate of `lprc.models.synthetic` with ``text``, RGB, cropped to its rim.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    clean = draw_plate(text, rng).image
    return clean.crop((SURROUND, SURROUND, SURROUND + PLATE_SIZE[0], SURROUND + PLATE_SIZE[1]))


def _pick(shares: Sequence[float], rng: np.random.Generator) -> int:
    """Return an index of ``shares``, each as likely as its share."""
    return int(np.searchsorted(np.cumsum(shares), rng.random() * sum(shares), side="right"))


def _draw_face(
    layout: FaceLayout, plate: Colour, ink: Colour, rng: np.random.Generator
) -> Image.Image:
    height = _FACE_HEIGHT
    width = round(height * layout.aspect)
    face = Image.new("RGB", (width, height), plate)
    draw = ImageDraw.Draw(face)
    left, top, right, bottom = _draw_band(draw, layout, (width, height), rng)
    if rng.random() < 0.6:
        draw.rectangle((0, 0, width - 1, height - 1), outline=ink, width=int(rng.integers(1, 3)))
    if layout.caption:
        size = height // 5
        where = top + 2 if rng.random() < 0.5 else bottom - size - 2
        _put_text(
            face, _random_text(rng, 5, 10), (left + 20, where, right - 20, where + size), ink, rng
        )
        top, bottom = (top + size, bottom) if where == top + 2 else (top, bottom - size)
    row_height = (bottom - top) / layout.rows
    for row in range(layout.rows):
        count = (5, 8) if layout.rows == 1 else (2, 5)
        text = _random_text(rng, *count)
        box = (
            left + 3,
            round(top + row * row_height) + 3,
            right - 3,
            round(top + (row + 1) * row_height) - 3,
        )
        _put_text(face, text, box, ink, rng)
    return face


def _draw_band(
    draw: ImageDraw.ImageDraw, layout: FaceLayout, size: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Draw the band and return the box that stays free for characters."""
    width, height = size
    strip = round(height * 0.32)
    colour = (_BLUE, _BLUE, _BLUE, _GREEN, _RED)[rng.integers(5)]
    left, top, right = 0, 0, width
    if layout.band in ("left", "both"):
        left = strip
        draw.rectangle((0, 0, strip, height), fill=colour)
        draw.ellipse((strip // 3, 6, strip - strip // 3, 6 + strip // 3), outline=_YELLOW)
    if layout.band == "both":
        right = width - strip
        draw.rectangle((right, 0, width, height), fill=colour)
    if layout.band == "top":
        top = round(height * 0.24)
        draw.rectangle((0, 0, width, top), fill=colour)
    return left, top, right, height


def _random_text(rng: np.random.Generator, least: int, most: int) -> str:
    """Return groups of letters and digits with a gap or a bar between them."""
    text = ""
    length = int(rng.integers(least, most + 1))
    while len(text) < length:
        pool = LETTERS if rng.random() < 0.5 else DIGITS
        text += "".join(pool[i] for i in rng.integers(len(pool), size=int(rng.integers(1, 4))))
        if len(text) < length - 1 and rng.random() < 0.7:
            text += " -"[int(rng.random() < 0.2)]
    return text[:length].strip(" -")


def _put_text(
    face: Image.Image,
    text: str,
    box: tuple[int, int, int, int],
    ink: Colour,
    rng: np.random.Generator,
) -> None:
    """Write ``text`` into the middle of ``box``, as high as fits and never wider."""
    line, _ = text_line(text, rng)
    room_wide, room_high = box[2] - box[0], box[3] - box[1]
    high = max(4, round(room_high * rng.uniform(0.72, 0.98)))
    wide = min(room_wide, max(4, round(line.width * high / line.height * rng.uniform(0.75, 1.15))))
    line = line.resize((wide, high), Image.Resampling.BILINEAR, reducing_gap=2.0)
    x = box[0] + (room_wide - wide) // 2
    face.paste(ink, (x, box[1] + (room_high - high) // 2), line)
