"""Coloured shapes on a grey ground, and masks that say which is where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lprc.core.tasks.task_file import parse_task
from lprc.models.tasks.segmentation import Segmentation

WIDTH, HEIGHT = 96, 64

TASK = f"""
task = "segmentation"

[input]
width = {WIDTH}
height = {HEIGHT}
color = "RGB"
mean = 128
scale = 0.0156

[output]
classes = ["ground", "disc", "box"]
ignore = 3

[training]
dice = 0.5
"""

_COLOURS = {1: (220, 40, 40), 2: (40, 60, 220)}


def shapes_task() -> Segmentation:
    """Ground, red discs, blue boxes, and a border that counts for nothing."""
    task = parse_task(TASK, name="shapes", where="the test")
    assert isinstance(task, Segmentation)
    return task


def draw_scenes(folder: Path, count: int, seed: int) -> Path:
    """Write `count` images and masks as the task takes them."""
    generator = np.random.default_rng(seed)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        image = Image.new("RGB", (WIDTH, HEIGHT), (120, 130, 120))
        mask = Image.new("L", (WIDTH, HEIGHT), 0)
        for shape in (1, 2):
            left, top = generator.integers(0, 60), generator.integers(0, 34)
            box = (left, top, left + generator.integers(20, 34), top + generator.integers(20, 28))
            box = tuple(int(end) for end in box)
            for canvas, colour in ((image, _COLOURS[shape]), (mask, shape)):
                draw = ImageDraw.Draw(canvas)
                (draw.ellipse if shape == 1 else draw.rectangle)(box, fill=colour)
        ImageDraw.Draw(mask).rectangle((0, 0, WIDTH - 1, 1), fill=3)
        noise = generator.normal(0, 8, (HEIGHT, WIDTH, 3))
        pixels = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:03d}.png")
        mask.save(folder / "masks" / f"{number:03d}.png")
    return folder
