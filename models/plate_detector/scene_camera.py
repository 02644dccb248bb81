"""Put plates into a scene in perspective, and photograph the scene by day or night."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lprc.models.plate_detector.scene_background import SCENE_SIZE
from lprc.models.plate_detector.scene_vehicles import Mount
from lprc.models.synthetic_camera import homography


def turned_corners(
    mount: Mount, aspect: float, turns: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Return float64 [4, 2]: where the corners of a plate are seen, from the upper left clockwise.

    Args:
        mount: Its centre and its width seen frontally.
        aspect: Its width over its height.
        turns: Yaw, pitch and roll in radians.
    """
    half = np.array((mount.width / 2, mount.width / aspect / 2))
    flat = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], np.float64)
    flat[:, :2] *= half
    (cy, cp, cr), (sy, sp, sr) = np.cos(turns), np.sin(turns)
    yaw = np.array([(cy, 0, sy), (0, 1, 0), (-sy, 0, cy)])
    pitch = np.array([(1, 0, 0), (0, cp, -sp), (0, sp, cp)])
    roll = np.array([(cr, -sr, 0), (sr, cr, 0), (0, 0, 1)])
    turned = flat @ (roll @ pitch @ yaw).T
    distance = 4 * mount.width
    seen: NDArray[np.float64] = turned[:, :2] * (distance / (distance + turned[:, 2:]))
    seen += np.array((mount.x, mount.y))
    return seen


def paste_plate(scene: Image.Image, face: Image.Image, corners: NDArray[np.float64]) -> None:
    """Draw ``face`` into ``scene`` so that its corners lie at ``corners``, float64 [4, 2]."""
    low = np.floor(corners.min(axis=0)).astype(int) - 1
    high = np.ceil(corners.max(axis=0)).astype(int) + 1
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    double = (2 * size[0], 2 * size[1])
    # Bilinear sampling alone would skip most pixels of a face that becomes small.
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    fitted = (max(4, round(2 * sides[[0, 2]].max())), max(3, round(2 * sides[[1, 3]].max())))
    if fitted[0] < face.width:
        face = face.resize(fitted, Image.Resampling.BOX)
    rim = np.array([(0, 0), (face.width, 0), face.size, (0, face.height)], np.float64)
    to_face = homography((corners - low) * 2, rim)
    coefficients = tuple(float(c) for c in (to_face / to_face[2, 2]).reshape(9)[:8])
    method = Image.Transform.PERSPECTIVE
    warped = face.transform(double, method, coefficients, Image.Resampling.BILINEAR)
    whole = Image.new("L", face.size, 255)
    mask = whole.transform(double, method, coefficients, Image.Resampling.NEAREST)
    scene.paste(warped.reduce(2), (int(low[0]), int(low[1])), mask.reduce(2))


def lit_face(face: Image.Image, light: float, rng: np.random.Generator) -> Image.Image:
    """Return ``face`` under a light of ``light`` times full, uneven, dirty or under a shadow."""
    pixels = np.asarray(face, np.float32) * light
    height, width, _ = pixels.shape
    ends = rng.uniform(0.75, 1.1, (2, 2)).astype(np.float32)
    pixels *= np.linspace(ends[0, 0], ends[0, 1], width, dtype=np.float32)[:, None]
    pixels *= np.linspace(ends[1, 0], ends[1, 1], height, dtype=np.float32)[:, None, None]
    if rng.random() < 0.15:
        edge = int(rng.integers(height))
        pixels[:edge] *= rng.uniform(0.35, 0.8)
    if rng.random() < 0.2:
        dirt = rng.random((6, 20), np.float32) * 255
        shape = Image.fromarray(dirt.astype(np.uint8)).resize((width, height))
        amount = np.asarray(shape, np.float32)[..., None] / 255 * rng.uniform(0.2, 0.7)
        pixels = pixels * (1 - amount) + 80 * amount
    pixels += rng.normal(0, 6, 3).astype(np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _glow(
    lamps: Sequence[tuple[float, float, float]], strength: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return what lamps add, float32 [height, width, 3], drawn at a quarter of the size."""
    width, height = SCENE_SIZE[0] // 4, SCENE_SIZE[1] // 4
    light = np.zeros((height, width, 3), np.float32)
    y, x = np.ogrid[:height, :width]
    spots = [
        *lamps,
        *(
            tuple(rng.uniform((0, 0, 2), (SCENE_SIZE[0], SCENE_SIZE[1] * 0.6, 9)))
            for _ in range(int(rng.integers(10)))
        ),
    ]
    for spot_x, spot_y, radius in spots:
        tint = np.array([(255, 60, 50), (255, 190, 120), (255, 235, 255)], np.float32)[
            rng.integers(3)
        ]
        spread = max(1.0, radius / 4 * rng.uniform(0.5, 1.6))
        squared = (x - spot_x / 4) ** 2 + (y - spot_y / 4) ** 2
        halo = np.exp(-squared / (2 * spread**2)) + 0.12 * np.exp(-squared / (18 * spread**2))
        light += (halo[..., None] * tint * (strength * rng.uniform(0.3, 1.2))).astype(np.float32)
    small = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
    return np.asarray(small.resize(SCENE_SIZE, Image.Resampling.BILINEAR), np.float32)


def _softened(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    kind = rng.random()
    if kind < 0.45:
        return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.3))))
    if kind < 0.6:
        return image.filter(ImageFilter.Kernel((3, 3), [0, 0, 0, 1, 1, 1, 0, 0, 0]))
    return image


def photograph_scene(
    scene: Image.Image,
    lamps: Sequence[tuple[float, float, float]],
    *,
    night: bool,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the scene as a dashcam records it, RGB uint8 [height, width, 3]."""
    pixels = np.asarray(_softened(scene, rng), np.float32)
    gains = rng.normal(1, 0.08, 3) * rng.uniform(0.75, 1.2)
    lit = rng.random() < (0.95 if night else 0.3)
    if rng.random() < 0.25:  # the cast of a cheap camera
        gains = gains * rng.uniform(0.6, 1.4, 3)
    pixels = pixels * gains.astype(np.float32)
    if rng.random() < 0.25:  # haze, or a reflection in the windscreen
        amount = rng.uniform(0.1, 0.45)
        pixels = pixels * np.float32(1 - amount) + np.float32(amount * rng.uniform(100, 255))
    if lit:
        pixels += _glow(lamps, float(rng.uniform(0.3, 1.1)), rng)
    tile = rng.standard_normal((90, 160, 3), np.float32) * np.float32(rng.uniform(0, 9))
    pixels += np.tile(tile, (4, 4, 1))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if rng.random() < 0.8:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(40, 95)))
        image = Image.open(buffer).convert("RGB")
    return np.asarray(image)
