"""Draw vehicles seen from behind or before, and say where their plates belong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from lprc.models.plate_detector.scene_background import SCENE_SIZE, random_colour

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of a scene; it may reach out of it."""


@dataclass(frozen=True)
class Mount:
    """Where a plate belongs.

    Attributes:
        x: Of its centre, in pixels of the scene.
        y: Of its centre.
        width: What the plate measures when seen frontally, in pixels.
        vehicle: The body that it is mounted on, or None.
    """

    x: float
    y: float
    width: float
    vehicle: Box | None = None

    @property
    def surroundings(self) -> Box:
        """What is drawn over when this is drawn."""
        half = self.width / 2
        return self.vehicle or (self.x - half, self.y - half, self.x + half, self.y + half)


def plan_mount(horizon: int, width: float, rng: np.random.Generator) -> Mount:
    """Return a place for a plate ``width`` pixels wide, mostly on a vehicle."""
    if rng.random() < 0.2:
        x, y = rng.uniform(0.03, 0.97, 2) * SCENE_SIZE
        return Mount(float(x), float(y), width)
    wide = width / rng.uniform(0.22, 0.36)
    upright = rng.random() < 0.15
    high = wide * (rng.uniform(0.9, 1.4) if upright else rng.uniform(0.5, 0.85))
    x = float(rng.uniform(0.05, 0.95) * SCENE_SIZE[0])
    # The farther a vehicle is, the closer its wheels are to the horizon.
    ground = float(horizon + high * rng.uniform(0.45, 0.9))
    ground = float(np.clip(ground, horizon + 6, SCENE_SIZE[1] + 0.25 * high))
    offset = rng.normal(0, 0.02) if rng.random() < 0.85 else rng.uniform(-0.3, 0.3)
    y = ground - high * rng.uniform(0.16, 0.5)
    body = (x - wide / 2, ground - high, x + wide / 2, ground)
    return Mount(float(x + wide * offset), float(y), width, body)


def draw_vehicle(
    scene: Image.Image, mount: Mount, rng: np.random.Generator
) -> list[tuple[float, float, float]]:
    """Draw the vehicle of ``mount``, if any; return its lamps: x, y and radius of each."""
    draw = ImageDraw.Draw(scene)
    lamps: list[tuple[float, float, float]] = []
    if mount.vehicle is not None:
        _body(draw, mount.vehicle, random_colour(rng, 10, 240), rng)
        lamps = _lamps(draw, mount.vehicle, rng)
        _trim(draw, mount.vehicle, rng)
    _recess(draw, mount.x, mount.y, mount.width, rng)
    return lamps


def _body(
    draw: ImageDraw.ImageDraw,
    box: Box,
    colour: tuple[int, int, int],
    rng: np.random.Generator,
) -> None:
    left, top, right, ground = box
    wide, high = right - left, ground - top
    shadow = (int(rng.integers(5, 40)),) * 3
    draw.ellipse((left - 4, ground - high * 0.12, right + 4, ground + high * 0.06), fill=shadow)
    for side in (left + wide * 0.04, right - wide * 0.2):  # wheels
        draw.rectangle((side, ground - high * 0.22, side + wide * 0.16, ground), fill=(20, 20, 22))
    waist, slope = top + high * rng.uniform(0.3, 0.45), wide * rng.uniform(0.03, 0.16)
    roof = [(left + slope, top), (right - slope, top), (right, waist), (left, waist)]
    draw.polygon(roof, fill=colour)
    pane = [
        (left + slope + wide * 0.05, top + high * 0.06),
        (right - slope - wide * 0.05, top + high * 0.06),
        (right - wide * 0.07, waist - high * 0.03),
        (left + wide * 0.07, waist - high * 0.03),
    ]
    draw.polygon(pane, fill=random_colour(rng, 5, 120))
    bottom = ground - high * 0.1
    shades = max(3, int((bottom - waist) / 3))
    slope_of_light = rng.uniform(-0.5, 0.3)
    for step in range(shades):
        light = 1 + slope_of_light * step / shades
        fill = tuple(int(min(255, c * light)) for c in colour)
        y = waist + (bottom - waist) * step / shades
        draw.rectangle((left, y, right, y + (bottom - waist) / shades + 1), fill=fill)


def _lamps(
    draw: ImageDraw.ImageDraw, box: Box, rng: np.random.Generator
) -> list[tuple[float, float, float]]:
    left, top, right, ground = box
    wide, high = right - left, ground - top
    y, lamp_wide, lamp_high = (
        top + high * rng.uniform(0.38, 0.55),
        wide * rng.uniform(0.08, 0.2),
        high * rng.uniform(0.06, 0.2),
    )
    rear = rng.random() < 0.7
    colour = (
        (int(rng.integers(120, 256)), int(rng.integers(0, 60)), int(rng.integers(0, 60)))
        if rear
        else (240, 240, 226)
    )
    for start in (left + 1, right - lamp_wide - 1):
        draw.rectangle((start, y, start + lamp_wide, y + lamp_high), fill=colour)
    middle, radius = y + lamp_high / 2, max(lamp_wide, lamp_high) / 2
    return [(left + lamp_wide / 2, middle, radius), (right - lamp_wide / 2, middle, radius)]


def _trim(draw: ImageDraw.ImageDraw, box: Box, rng: np.random.Generator) -> None:
    """Draw bumper, grille, emblem and stickers: what a detector must not take for a plate."""
    left, top, right, ground = box
    wide, high = right - left, ground - top
    middle = (left + right) / 2
    if rng.random() < 0.6:
        y = ground - high * rng.uniform(0.2, 0.32)
        draw.rectangle(
            (left, y, right, y + high * rng.uniform(0.03, 0.12)), fill=random_colour(rng, 10, 200)
        )
    if rng.random() < 0.35:
        y, half, bars = (
            top + high * rng.uniform(0.45, 0.7),
            wide * rng.uniform(0.12, 0.3),
            int(rng.integers(3, 9)),
        )
        ink, pitch = random_colour(rng, 0, 120), high * 0.14 / bars
        for bar in range(bars):
            draw.rectangle(
                (middle - half, y + bar * pitch, middle + half, y + bar * pitch + pitch / 2),
                fill=ink,
            )
    if rng.random() < 0.5:
        y, radius = top + high * rng.uniform(0.42, 0.5), wide * 0.03
        draw.ellipse(
            (middle - radius, y - radius, middle + radius, y + radius), fill=random_colour(rng, 150)
        )
    for _ in range(int(rng.integers(0, 3))):
        x, y, size = (
            rng.uniform(left, right),
            rng.uniform(top + high * 0.4, ground),
            wide * rng.uniform(0.02, 0.07),
        )
        draw.rectangle(
            (x, y, x + size * rng.uniform(0.5, 1.6), y + size), fill=random_colour(rng, 60)
        )


def _recess(
    draw: ImageDraw.ImageDraw, x: float, y: float, plate_width: float, rng: np.random.Generator
) -> None:
    """Draw the darker field that most plates are mounted in."""
    if rng.random() < 0.4:
        return
    half_wide, half_high = (
        plate_width * rng.uniform(0.53, 0.75),
        plate_width * rng.uniform(0.14, 0.3),
    )
    draw.rectangle(
        (x - half_wide, y - half_high, x + half_wide, y + half_high),
        fill=random_colour(rng, 5, 130),
    )
