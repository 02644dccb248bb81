"""Boxes over a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

FOUND, TRUE = "#e6194b", "#3cb44b"
"""Colours of what was found, and of what is there."""


def draw_boxes(
    image: Image.Image, boxes: Iterable[tuple[Sequence[float], str]], colour: str
) -> Image.Image:
    """The image with boxes and a word above each.

    Args:
        image: RGB; it is left as it is.
        boxes: Left, top, right, bottom in pixels, and the word.
        colour: Of lines and words.
    """
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn)
    width = max(1, round(min(image.size) / 200))
    for (left, top, right, bottom), word in boxes:
        pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=width)
        area = pen.textbbox((0, 0), word)
        lower = top if top >= area[3] else area[3]
        pen.rectangle((left, lower - area[3], left + area[2], lower), fill=colour)
        pen.text((left, lower - area[3]), word, fill="white")
    return drawn
