"""Draw a clean, frontal plate: background, bands, rim and one line of characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lprc.models.synthetic_fonts import FONT_FILES, find_font
from lprc.models.synthetic_layouts import BANDS, SEPARATOR, STYLES, Colour, Style

if TYPE_CHECKING:
    from numpy.typing import NDArray

PLATE_SIZE = (188, 48)
"""Width and height of a drawn plate in pixels."""

SURROUND = 20
"""Pixels of background around the plate, for the camera to see past its rim."""

_GLYPH_HEIGHT = 40
_GAP_WIDTH = 12
_SEPARATOR_WIDTH = 14


@dataclass(frozen=True)
class CleanPlate:
    """A plate before the camera.

    Attributes:
        image: RGB, ``PLATE_SIZE`` and ``SURROUND`` pixels more on every side.
        centres: float64 [n, 2]: x and y in ``image`` of each character that is read.
    """

    image: Image.Image
    centres: NDArray[np.float64]


@cache
def _glyph(font_file: str, character: str) -> Image.Image:
    """Return the tight mask of ``character``, mode L, ``_GLYPH_HEIGHT`` high."""
    font = ImageFont.truetype(str(find_font(font_file)), _GLYPH_HEIGHT * 2)
    left, top, right, bottom = font.getbbox(character)
    mask = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), character, font=font, fill=255)
    width = max(1, round(mask.width * _GLYPH_HEIGHT / mask.height))
    return mask.resize((width, _GLYPH_HEIGHT), Image.Resampling.LANCZOS)


def _separator(draw: ImageDraw.ImageDraw, x: int, *, dot: bool) -> None:
    middle = _GLYPH_HEIGHT // 2
    if dot:
        draw.ellipse((x + 4, middle - 3, x + 10, middle + 3), fill=255)
    else:
        draw.rectangle((x + 2, middle - 2, x + _SEPARATOR_WIDTH - 3, middle + 2), fill=255)


def text_line(
    text: str, rng: np.random.Generator, fonts: Sequence[str] = FONT_FILES
) -> tuple[Image.Image, list[float]]:
    """Return the mask of the whole line, and the x of each read character's centre.

    Raises:
        MissingDependencyError: The font of ``fonts`` that was chosen is not installed.
    """
    font_file = fonts[int(rng.integers(len(fonts)))]
    spacing = int(rng.integers(4, 10))
    dot = bool(rng.random() < 0.4)
    line = Image.new("L", (len(text) * 60, _GLYPH_HEIGHT))
    draw = ImageDraw.Draw(line)
    x, centres = 0, []
    for character in text:
        if character == " ":
            x += _GAP_WIDTH
        elif character == SEPARATOR:
            _separator(draw, x, dot=dot)
            x += _SEPARATOR_WIDTH + spacing
        else:
            glyph = _glyph(font_file, character)
            line.paste(glyph, (x, 0))
            centres.append(x + glyph.width / 2)
            x += glyph.width + spacing
    return line.crop((0, 0, max(1, x - spacing), _GLYPH_HEIGHT)), centres


def _shade(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = (int(c) for c in np.clip(np.add(colour, rng.normal(0, 10, 3)), 0, 255))
    return red, green, blue


def _draw_bands(
    draw: ImageDraw.ImageDraw, style: Style, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Draw the bands and return the box that stays free for characters, in plate pixels."""
    width, height = PLATE_SIZE
    where = BANDS[rng.integers(len(BANDS))]
    colour = _shade(style.band, rng)
    side, strip = int(rng.integers(8, 18)), int(rng.integers(3, 7))
    left, top, right, bottom = 0, 0, width, height
    if where in ("left", "both"):
        left = side
        draw.rectangle((SURROUND, SURROUND, SURROUND + side, SURROUND + height), fill=colour)
    if where in ("right", "both"):
        right = width - side
        draw.rectangle(
            (SURROUND + right, SURROUND, SURROUND + width, SURROUND + height), fill=colour
        )
    if where == "top":
        top = strip
        draw.rectangle((SURROUND, SURROUND, SURROUND + width, SURROUND + strip), fill=colour)
    if where == "bottom":
        bottom = height - strip
        draw.rectangle(
            (SURROUND, SURROUND + bottom, SURROUND + width, SURROUND + height), fill=colour
        )
    return left, top, right, bottom


def draw_plate(text: str, rng: np.random.Generator) -> CleanPlate:
    """Draw ``text`` with a random style, font, spacing, bands and rim.

    Raises:
        MissingDependencyError: A font of ``FONT_FILES`` is not installed.
    """
    width, height = PLATE_SIZE
    style = STYLES[rng.integers(len(STYLES))]
    surround = tuple(int(c) for c in rng.integers(10, 220, 3))
    image = Image.new("RGB", (width + 2 * SURROUND, height + 2 * SURROUND), surround)
    draw = ImageDraw.Draw(image)
    plate = (SURROUND, SURROUND, SURROUND + width - 1, SURROUND + height - 1)
    draw.rectangle(plate, fill=_shade(style.plate, rng))
    left, top, right, bottom = _draw_bands(draw, style, rng)
    ink = _shade(style.ink, rng)
    if rng.random() < 0.5:
        draw.rectangle(plate, outline=ink, width=int(rng.integers(1, 3)))

    line, centres = text_line(text, rng)
    room = right - left - int(rng.integers(10, 20))
    glyph_height = min(int(rng.integers(29, 38)), bottom - top - 6)
    # Short texts keep their proportions instead of filling the plate.
    glyph_width = min(
        room, round(line.width * glyph_height / _GLYPH_HEIGHT * rng.uniform(0.9, 1.2))
    )
    scale = glyph_width / line.width
    line = line.resize((glyph_width, glyph_height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    x = SURROUND + left + (right - left - glyph_width) // 2
    y = SURROUND + top + (bottom - top - glyph_height) // 2
    image.paste(ink, (x, y), line)
    return CleanPlate(image, np.array([(x + c * scale, y + glyph_height / 2) for c in centres]))
