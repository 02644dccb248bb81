"""What the benchmark's networks learn: drawn shapes, and streets of CamVid."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from _quantization_modules import CLASSES, ROAD, THINGS
from numpy.typing import NDArray
from PIL import Image

SIDE = 64

Task = tuple[NDArray[np.float32], NDArray[np.int64]]

DATA = Path(os.environ.get("LPRC_DATA", Path(__file__).parents[2] / "shared" / "lprnet"))
UNLABELLED = ROAD
"""The class of pixels in CamVid that do not count."""


def streets(count: int, part: str) -> Task:
    """Scenes of CamVid's ``train`` or ``val``, evenly spread over it, at 160×120.

    Returns:
        Images float32 [count or fewer, 3, 120, 160], −1 to 1, and classes int64 [count, 120, 160],
        `UNLABELLED` where there is none.

    Raises:
        FileNotFoundError: There are none.
    """
    folder = DATA.parent / "camvid" / part
    paths = sorted((folder / "images").glob("*.jpg"))
    if not paths:
        raise FileNotFoundError(f"no images in {folder}")
    chosen = [
        paths[index] for index in np.unique(np.linspace(0, len(paths) - 1, count).astype(int))
    ]
    scenes = [
        np.asarray(Image.open(path).resize((160, 120), Image.Resampling.BOX)) for path in chosen
    ]
    masks = [
        Image.open(folder / "masks" / f"{path.stem}.png").resize(
            (160, 120), Image.Resampling.NEAREST
        )
        for path in chosen
    ]
    images = np.stack(scenes).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    return images, np.stack([np.asarray(mask, np.int64) for mask in masks])


def drawn(
    count: int, seed: int, *, several: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Shapes before a gradient, with uneven light and noise; values of about −1 to 1.

    Args:
        count: Images.
        seed: Of everything in them.
        several: Three shapes of three kinds in an image, rather than one of eight.

    Returns:
        Images float32 [count, 3, 64, 64], the class of each one's first shape int64 [count], and of
        each pixel int64 [count, 64, 64] (0 for the background).
    """
    generator = np.random.default_rng(seed)
    axis = np.arange(SIDE, dtype=np.float64) + 0.5
    x, y = np.meshgrid(axis, axis)
    images = np.empty((count, 3, SIDE, SIDE), np.float32)
    labels = np.empty(count, np.int64)
    masks = np.zeros((count, SIDE, SIDE), np.int64)
    for index in range(count):
        tilt = generator.normal(0, 0.4, (3, 2))
        field = generator.uniform(-0.6, 0.6, (3, 1, 1)) + np.einsum(
            "ck,khw->chw", tilt, np.stack([x, y]) / SIDE - 0.5
        )
        kinds = generator.integers(0, THINGS - 1 if several else CLASSES, 3 if several else 1)
        for kind in kinds:
            inside = _shape(int(kind), x, y, generator)
            colour = generator.uniform(-1, 1, (3, 1, 1))
            field = np.where(inside, field * 0.2 + colour, field)
            masks[index][inside] = kind + 1
        light = generator.uniform(0.5, 1.3)
        images[index] = field * light + generator.normal(0, 0.08, field.shape)
        labels[index] = kinds[0]
    return images, labels, masks


def _shape(
    kind: int, x: NDArray[np.float64], y: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Where a disc, square, triangle, ring, cross, frame, crescent or bar is; bool [64, 64]."""
    radius = generator.uniform(9, 18)
    centre = generator.uniform(radius, SIDE - radius, 2)
    angle = generator.uniform(0, 2 * np.pi)
    u = ((x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)) / radius
    v = ((y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)) / radius
    far, edge = np.hypot(u, v), np.maximum(np.abs(u), np.abs(v))
    disc = far < 0.9
    forms: list[NDArray[np.bool_]] = [
        disc,
        edge < 0.75,
        (v > -0.5) & (v < 1 - np.sqrt(3) * np.abs(u)),
        disc & (far > 0.5),
        (edge < 0.9) & (np.minimum(np.abs(u), np.abs(v)) < 0.28),
        (edge < 0.8) & (edge > 0.45),
        disc & (np.hypot(u - 0.4, v) > 0.7),
        (np.abs(u) < 0.95) & (np.abs(v) < 0.3),
    ]
    return forms[kind]
