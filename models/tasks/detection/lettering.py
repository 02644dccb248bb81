"""Words as pictures, whatever script they are in."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lprc.core.process.installed import is_installed

_FOREIGN = 0x7F
"""Pillow's own font has the printable characters below, and not all Latin ones above."""


@lru_cache(maxsize=1)
def has_every_script() -> bool:
    """Whether an OpenCV with a built-in Unicode font is installed: from version 5 on."""
    if not is_installed("cv2"):
        return False
    import cv2

    return hasattr(cv2, "FontFace")


def lacks_glyphs(text: str) -> bool:
    """Whether `lettering` has no shapes for some of the characters."""
    return not _is_ascii(text) and not has_every_script()


def lettering(text: str, height: int) -> Image.Image:
    """One line as coverage, 0 to 255.

    Characters that Pillow's font lacks, Chinese ones for instance, are drawn with OpenCV's; without
    it they are empty boxes.

    Args:
        text: One line.
        height: Of its capitals and what hangs below them, about, in pixels.

    Returns:
        Mode ``L``, as wide as the text.
    """
    if not _is_ascii(text) and has_every_script():
        return _by_opencv(text, height)
    font = ImageFont.load_default(height)
    _, _, right, bottom = font.getbbox(text, anchor="la")
    mask = Image.new("L", (max(1, round(right)), max(1, round(bottom))), 0)
    ImageDraw.Draw(mask).text((0, 0), text, font=font, fill=255, anchor="la")
    return mask


def _is_ascii(text: str) -> bool:
    return all(ord(sign) < _FOREIGN for sign in text)


def _by_opencv(text: str, height: int) -> Image.Image:
    import cv2

    face = cv2.FontFace("uni")
    canvas = np.zeros((2 * height, 2 * height * (len(text) + 1), 3), np.uint8)
    end, drawn = cv2.putText(canvas, text, (0, height), (255, 255, 255), face, height)
    width = max(1, min(int(end[0]), canvas.shape[1]))
    return Image.fromarray(drawn[: round(1.3 * height), :width, 0])
