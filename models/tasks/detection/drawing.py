"""Boxes over a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw

from lprc.models.tasks.detection.lettering import lettering

FOUND, TRUE = "#e6194b", "#3cb44b"
"""Colours of what was found, and of what is there."""

_SMALLEST_LETTERS = 11
"""Pixels."""


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
    letters = max(_SMALLEST_LETTERS, round(min(image.size) / 22))
    for (left, top, right, bottom), word in boxes:
        pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=width)
        if word:
            _put_word(drawn, pen, word, (round(left), round(top)), letters, colour)
    return drawn


def _put_word(
    drawn: Image.Image,
    pen: ImageDraw.ImageDraw,
    word: str,
    place: tuple[int, int],
    letters: int,
    colour: str,
) -> None:
    """A word on a ground of its own: above `place`, inside of the picture."""
    mask = lettering(word, letters)
    left = max(0, min(place[0], drawn.width - mask.width))
    upper = place[1] - mask.height if place[1] >= mask.height else 0
    pen.rectangle((left, upper, left + mask.width, upper + mask.height), fill=colour)
    drawn.paste("white", (left, upper), mask)
