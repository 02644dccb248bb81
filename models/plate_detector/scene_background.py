"""Draw what stands behind the vehicles of a scene: sky, buildings, road, signs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lprc.models.synthetic_layouts import LETTERS, Colour
from lprc.models.synthetic_render import text_line

SCENE_SIZE = (640, 360)
"""Width and height of a scene in pixels."""


def random_colour(rng: np.random.Generator, low: int = 0, high: int = 256) -> Colour:
    """Return a colour that is mostly grey: streets are."""
    grey = rng.integers(low, high)
    spread = 12 if rng.random() < 0.6 else 70
    red, green, blue = (int(c) for c in np.clip(grey + rng.normal(0, spread, 3), 0, 255))
    return red, green, blue


def texture(rng: np.random.Generator, strength: float) -> NDArray[np.int16]:
    """Return smooth noise of several scales, int16 [height, width, 1]."""
    total = np.zeros(SCENE_SIZE[::-1], np.float32)
    for cells in (5, 24, 120):
        coarse = rng.normal(128, 40, (max(2, cells * 9 // 16), cells)).clip(0, 255)
        fine = Image.fromarray(coarse.astype(np.uint8)).resize(
            SCENE_SIZE, Image.Resampling.BILINEAR
        )
        total += np.asarray(fine, np.float32)
    result: NDArray[np.int16] = ((total - 384) * (strength / 60)).astype(np.int16)
    return result[..., None]


def background(rng: np.random.Generator) -> tuple[Image.Image, int]:
    """Return a street without vehicles, RGB of `SCENE_SIZE`, and the y of its horizon."""
    width, height = SCENE_SIZE
    horizon = int(height * rng.uniform(0.2, 0.55))
    scene = _sky_and_road(horizon, rng)
    draw = ImageDraw.Draw(scene)
    for _ in range(int(rng.integers(2, 12))):
        _building(scene, draw, horizon, rng)
    _lanes(draw, horizon, rng)
    for _ in range(int(rng.integers(0, 4))):
        _sign(scene, draw, horizon, rng)
    for _ in range(int(rng.integers(0, 8))):  # poles, trees, people
        x, w = int(rng.integers(width)), int(rng.integers(2, 16))
        top = int(rng.integers(horizon // 3, horizon + 40))
        draw.rectangle(
            (x, top, x + w, top + int(rng.integers(30, 160))), fill=random_colour(rng, 0, 140)
        )
    textured = np.asarray(scene, np.int16) + texture(rng, float(rng.uniform(4, 30)))
    return Image.fromarray(np.clip(textured, 0, 255).astype(np.uint8)), horizon


def _sky_and_road(horizon: int, rng: np.random.Generator) -> Image.Image:
    height = SCENE_SIZE[1]
    rows = np.empty((height, 1, 3), np.float32)
    for start, stop, low in ((0, horizon, 110), (horizon, height, 20)):
        ends = [np.array(random_colour(rng, low, low + 120), np.float32) for _ in range(2)]
        blend = np.linspace(0, 1, stop - start, dtype=np.float32)[:, None]
        rows[start:stop, 0] = ends[0] * (1 - blend) + ends[1] * blend
    strip = Image.fromarray(np.clip(rows, 0, 255).astype(np.uint8))
    return strip.resize(SCENE_SIZE, Image.Resampling.NEAREST)


def _building(
    scene: Image.Image, draw: ImageDraw.ImageDraw, horizon: int, rng: np.random.Generator
) -> None:
    x, wide = int(rng.integers(-60, SCENE_SIZE[0])), int(rng.integers(30, 220))
    top = int(horizon * rng.uniform(-0.2, 0.9))
    bottom = horizon + int(rng.integers(0, 40))
    draw.rectangle((x, top, x + wide, bottom), fill=random_colour(rng, 30, 220))
    pane, step_x, step_y = random_colour(rng), int(rng.integers(8, 30)), int(rng.integers(9, 30))
    inner_x, inner_y = (
        max(2, int(step_x * rng.uniform(0.3, 0.8))),
        max(2, int(step_y * rng.uniform(0.3, 0.8))),
    )
    for column in range(x + 4, x + wide - inner_x, step_x):
        for row in range(top + 4, bottom - inner_y - 8, step_y):
            draw.rectangle((column, row, column + inner_x, row + inner_y), fill=pane)
    if rng.random() < 0.4:
        board_high = int(rng.integers(8, 30))
        _board(scene, (x + 3, bottom - board_high - 6, x + wide - 3, bottom - 6), rng)


def _lanes(draw: ImageDraw.ImageDraw, horizon: int, rng: np.random.Generator) -> None:
    width, height = SCENE_SIZE
    vanishing = int(rng.integers(width // 4, 3 * width // 4))
    for _ in range(int(rng.integers(0, 5))):
        x, wide = int(rng.integers(-200, width + 200)), int(rng.integers(4, 24))
        stop = rng.uniform(0.0, 0.7)
        y = height - (height - horizon) * (1 - stop)
        near, far = (
            (x, x + wide),
            (vanishing + (x - vanishing) * stop, vanishing + (x + wide - vanishing) * stop),
        )
        corners = [(near[0], height), (near[1], height), (far[1], y), (far[0], y)]
        draw.polygon(corners, fill=random_colour(rng, 120, 250))


def _sign(
    scene: Image.Image, draw: ImageDraw.ImageDraw, horizon: int, rng: np.random.Generator
) -> None:
    """Draw a traffic sign, or a board with text in other proportions than a plate's."""
    x, y, size = (
        int(rng.integers(SCENE_SIZE[0])),
        int(rng.integers(horizon + 30)),
        int(rng.integers(10, 50)),
    )
    if rng.random() < 0.5:
        face, rim = random_colour(rng, 100), random_colour(rng)
        draw.ellipse((x, y, x + size, y + size), fill=face, outline=rim, width=max(1, size // 8))
        draw.rectangle(
            (x + size // 2 - 1, y + size, x + size // 2 + 1, y + size * 3), fill=(60, 60, 64)
        )
    else:
        aspect = rng.uniform(0.6, 1.0) if rng.random() < 0.6 else rng.uniform(7, 11)
        _board(scene, (x, y, x + round(size * aspect), y + size), rng)


def _board(scene: Image.Image, box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    left, top, right, bottom = box
    proportion = (right - left) / (bottom - top)
    if right - left < 12 or bottom - top < 6 or 1.1 < proportion < 6.5:  # as a plate's
        return
    scene.paste(random_colour(rng), box)
    letters = "".join(LETTERS[i] for i in rng.integers(len(LETTERS), size=int(rng.integers(3, 14))))
    line, _ = text_line(letters, rng)
    high = int((bottom - top) * rng.uniform(0.4, 0.8))
    wide = min(right - left - 4, max(4, line.width * high // line.height))
    if high < 4:
        return
    line = line.resize((wide, high), Image.Resampling.BILINEAR, reducing_gap=2.0)
    scene.paste(random_colour(rng), ((left + right - wide) // 2, (top + bottom - high) // 2), line)
