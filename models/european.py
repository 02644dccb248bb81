"""Synthetic European plates as a detector cuts them out of a dashcam's frames.

Texts follow the patterns of several countries; layouts and colours are those that plates share, and
no design of a country is copied.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from lprc.models.plate_config import PlateConfig
from lprc.models.synthetic import SyntheticPlate, synthetic_plate
from lprc.models.synthetic_camera import homography, lit
from lprc.models.synthetic_fonts import FONT_FILES
from lprc.models.synthetic_layouts import Colour, label_of
from lprc.models.synthetic_render import SURROUND, CleanPlate, text_line

PATTERNS = (
    *("L DD LLL", "L DDD LLL", "LL DD LLL", "LL DDD LL", "L LL DDD", "LL LL DDD", "LLL L DD"),
    *("LL-DDD-LL", "LL DDDLL", "LLDD LLL", "DDDD LLL", "LL-DDD-L", "D-LLL-DD", "LL DDDDD"),
    *("LLL DDDD", "LL-DD-LL", "DLD DDDD", "LLL-DDD", "LL DDDD LL", "LLL DDD", "LL DDDD", "DDD LL"),
)
"""L is a letter, D a digit; others are drawn and not read."""

FONTS = (
    *FONT_FILES,
    *("DejaVuSans.ttf", "DejaVuSansCondensed-Bold.ttf", "DejaVuSansCondensed.ttf"),
    *("LiberationSans-Regular.ttf", "LiberationSansNarrow-Bold.ttf"),
)
"""Needs fonts-dejavu-extra beside what lprc.models.synthetic draws with."""

_LETTERS, _DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_SIZE = (212, 46)
_INVENTED_SHARE = 0.25
"""Of the plates those of lprc.models.synthetic: a reader of both learns from both."""


def european_plate(index: int, seed: int, config: PlateConfig) -> SyntheticPlate:
    """Return plate number ``index`` of the endless sequence that ``seed`` names.

    Raises:
        MissingDependencyError: A font of `FONTS` is not installed.
    """
    rng = np.random.default_rng([seed, index, 1])
    if rng.random() < _INVENTED_SHARE:
        return synthetic_plate(index, seed, config)
    text = _sample_text(rng)
    image, centres = _cut_out(_draw(text, rng), (config.width, config.height), rng)
    if config.channels == "BGR":
        image = np.ascontiguousarray(image[..., ::-1])
    return SyntheticPlate(image, label_of(text), centres)


def _sample_text(rng: np.random.Generator) -> str:
    pattern = PATTERNS[rng.integers(len(PATTERNS))]
    pools = {"L": _LETTERS, "D": _DIGITS}
    return "".join(
        pools[place][rng.integers(len(pools[place]))] if place in pools else place
        for place in pattern
    )


def _colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    kind = rng.random()
    if kind < 0.78:
        return (238, 238, 234), (24, 24, 28)
    if kind < 0.9:
        return (240, 200, 50), (24, 24, 28)
    ink: tuple[Colour, ...] = ((150, 24, 30), (24, 52, 140), (20, 90, 50))
    return (236, 236, 230), ink[rng.integers(3)]


def _draw(text: str, rng: np.random.Generator) -> CleanPlate:
    """Draw a clean, frontal plate with what surrounds it."""
    width, height = _SIZE
    body = tuple(int(c) for c in rng.integers(5, 220, 3))
    image = Image.new("RGB", (width + 2 * SURROUND, height + 2 * SURROUND), body)
    draw = ImageDraw.Draw(image)
    plate, ink = _colours(rng)
    if rng.random() < 0.5:  # the holder
        rim = int(rng.integers(2, 7))
        shade = (int(rng.integers(5, 90)),) * 3
        box = (SURROUND - rim, SURROUND - rim, SURROUND + width + rim, SURROUND + height + rim)
        draw.rectangle(box, fill=shade)
    draw.rectangle((SURROUND, SURROUND, SURROUND + width, SURROUND + height), fill=plate)
    if rng.random() < 0.5:
        outline = (SURROUND + 1, SURROUND + 1, SURROUND + width - 1, SURROUND + height - 1)
        draw.rectangle(outline, outline=ink)
    left, right = _bands(draw, rng)
    line, centres = text_line(text, rng, FONTS)
    high = int(rng.integers(30, 39))
    wide = round(line.width * high / line.height * rng.uniform(0.7, 1.15))
    wide = min(right - left - int(rng.integers(6, 14)), wide)
    scale = wide / line.width
    line = line.resize((wide, high), Image.Resampling.BILINEAR, reducing_gap=2.0)
    x = SURROUND + left + int((right - left - wide) * rng.uniform(0.3, 0.7))
    y = SURROUND + (_SIZE[1] - high) // 2
    image.paste(ink, (x, y), line)
    if rng.random() < 0.25:  # a seal between the groups, or a screw
        at = int(rng.uniform(x, x + wide)), int(rng.uniform(SURROUND + 2, SURROUND + height - 8))
        size = int(rng.integers(3, 8))
        draw.ellipse((*at, at[0] + size, at[1] + size), fill=(int(rng.integers(40, 200)),) * 3)
    return CleanPlate(image, np.array([(x + c * scale, y + high / 2) for c in centres]))


def _bands(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> tuple[int, int]:
    """Draw the coloured bands; return the x that are free between them, in plate pixels."""
    width, height = _SIZE
    left, right = 0, width
    blue = (int(rng.integers(10, 50)), int(rng.integers(30, 80)), int(rng.integers(110, 190)))
    if rng.random() < 0.8:
        left = int(rng.integers(14, 21))
        draw.rectangle((SURROUND, SURROUND, SURROUND + left, SURROUND + height), fill=blue)
        inner = SURROUND + left // 4, SURROUND + left - left // 4
        stars = (inner[0], SURROUND + 5, inner[1], SURROUND + 5 + left // 2)
        draw.ellipse(stars, outline=(230, 200, 60))
        code = (inner[0], SURROUND + height - 14, inner[1], SURROUND + height - 6)
        draw.rectangle(code, fill=(220, 220, 226))
    if rng.random() < 0.12:
        right = width - int(rng.integers(14, 21))
        draw.rectangle((SURROUND + right, SURROUND, SURROUND + width, SURROUND + height), fill=blue)
    return left, right


def _seen_corners(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return float64 [4, 2]: the corners of a detector's box, in pixels of the clean plate."""
    width, height = _SIZE
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    centre = corners.mean(axis=0)
    margins = rng.normal(0.03, 0.035, 2) * (width, 2.2 * height)
    corners = centre + (corners - centre) * (1 + 2 * margins / (width, height))
    angle = rng.normal(0, 0.035)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    corners = centre + (corners - centre) @ turn
    slant = rng.normal(0, 0.08) * height  # a plate seen from the side leans
    corners += np.array([(slant, 0), (slant, 0), (-slant, 0), (-slant, 0)])
    corners += rng.normal(0, (2.5, 1.5), (4, 2)) + rng.normal(0, (3, 1.5), 2)
    seen: NDArray[np.float64] = corners + SURROUND
    return seen


def _cut_out(
    plate: CleanPlate, size: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return what a camera sees of ``plate`` in a frame, scaled to ``size`` (width, height).

    Far plates are a few pixels wide in their frame: they are drawn so small and scaled up.

    Returns:
        RGB uint8 [height, width, 3], and the x of each character's centre in it.
    """
    wide = int(np.exp(rng.uniform(np.log(36), np.log(170))))
    small = (wide, max(9, round(wide / rng.uniform(3.2, 4.4))))
    double = (2 * small[0], 2 * small[1])
    frame = np.array([(0, 0), (double[0], 0), double, (0, double[1])], np.float64)
    to_plate = homography(frame, _seen_corners(rng))
    source = plate.image
    shrunk = double[0] / _SIZE[0]
    if shrunk < 0.7:  # bilinear sampling alone would skip pixels
        source = source.filter(ImageFilter.BoxBlur(0.5 / shrunk - 0.5))
    coefficients = tuple(float(c) for c in (to_plate / to_plate[2, 2]).reshape(9)[:8])
    image = source.transform(
        double, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
    ).reduce(2)
    image = _recorded(image, rng)
    homogeneous = np.column_stack([plate.centres, np.ones(len(plate.centres))])
    seen = homogeneous @ np.linalg.inv(to_plate).T
    x = seen[:, 0] / seen[:, 2] / double[0] * size[0]
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR)), x


def _recorded(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add dirt, glare, blur, a cast, noise and JPEG artefacts to the part of a frame."""
    kind = rng.random()
    if kind < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.9))))
    elif kind < 0.5:
        image = image.filter(ImageFilter.Kernel((3, 3), [0, 0, 0, 1, 1, 1, 0, 0, 0]))
    pixels = np.asarray(image, np.float32)
    height, width, _ = pixels.shape
    if rng.random() < 0.3:  # a lamp's glare, or a reflection
        y, x = np.ogrid[:height, :width]
        lamp = rng.uniform((0, -height), (width, 2 * height))
        far = ((x - lamp[0]) ** 2 + (y - lamp[1]) ** 2) / width**2
        glow = np.exp(-far / rng.uniform(0.01, 0.1)) * rng.uniform(30, 130)
        pixels = pixels + glow[..., None].astype(np.float32)
    if rng.random() < 0.2:  # dirt
        spots = Image.fromarray((rng.random((4, 12)) * 255).astype(np.uint8))
        spots = spots.resize((width, height))
        amount = np.asarray(spots, np.float32)[..., None] / 255 * np.float32(rng.uniform(0.2, 0.6))
        pixels = pixels * (1 - amount) + 90 * amount
    if rng.random() < 0.5:
        pixels = pixels * rng.uniform(0.5, 1.4, 3).astype(np.float32)
    pixels = lit(pixels, rng)
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    if rng.random() < 0.8:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(45, 95)))
        image = Image.open(buffer).convert("RGB")
    return image
