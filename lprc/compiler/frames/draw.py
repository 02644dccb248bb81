"""Frames with what was found and read in them."""

from __future__ import annotations

from PIL import Image

from lprc.compiler.frames.frame import Frame
from lprc.models.tasks.detection.drawing import FOUND, draw_boxes
from lprc.models.tasks.detection.lettering import lacks_glyphs, lettering

_STRIP = 14
"""Pixels of the letters above a picture that was answered as a whole."""


def annotated(frame: Frame) -> Image.Image:
    """The picture with boxes, what was read above each, or its answer in a strip above."""
    reading = frame.reading
    if reading.boxes is None:
        return _under_strip(frame.picture, reading.text)
    boxes = [(found.box, f"{found.words()} {found.score:.2f}") for found in reading.shown_boxes()]
    return draw_boxes(frame.picture, boxes, FOUND)


def unwritable_words(frame: Frame) -> str | None:
    """The first words of a frame whose characters can't be drawn here; None where all can."""
    reading = frame.reading
    texts = [found.words() for found in reading.shown_boxes()] or [reading.text]
    return next(filter(lacks_glyphs, texts), None)


def _under_strip(image: Image.Image, text: str) -> Image.Image:
    mask = lettering(text, _STRIP)
    width = max(image.width, mask.width)
    canvas = Image.new("RGB", (width, image.height + mask.height), "white")
    canvas.paste(FOUND, (0, 0), mask)
    canvas.paste(image, (0, mask.height))
    return canvas
