"""Photograph a clean plate: perspective, blur, light, noise and JPEG artefacts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFilter

from lprc.models.synthetic_render import PLATE_SIZE, SURROUND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lprc.models.synthetic_render import CleanPlate

_MOTION_KERNELS = {
    "horizontal": [0.0] * 10 + [1.0] * 5 + [0.0] * 10,
    "vertical": [0.0, 0.0, 1.0, 0.0, 0.0] * 5,
    "diagonal": [1.0 if row == column else 0.0 for row in range(5) for column in range(5)],
}


def homography(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64 [3, 3] that maps four points of ``source`` [4, 2] to ``target`` [4, 2]."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    matrix: NDArray[np.float64] = np.ones(9)
    matrix[:8] = np.linalg.solve(np.array(rows), target.reshape(8))
    return matrix.reshape(3, 3)


def _view(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return float64 [4, 2]: the corners of what the camera sees, in clean-plate pixels."""
    width, height = PLATE_SIZE
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    margin = rng.uniform((-3, -2), (7, 5))
    centre = np.array((width / 2, height / 2))
    corners = centre + (corners - centre) * (1 + 2 * margin / (width, height))
    angle = rng.normal(0, 0.03)
    turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    corners = centre + (corners - centre) @ turn
    corners += rng.normal(0, (2.0, 1.5), (4, 2))  # perspective
    corners += rng.uniform((-3, -2), (3, 2))  # crop jitter
    view: NDArray[np.float64] = corners + SURROUND
    return view


def _blur(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    kind = rng.random()
    if kind < 0.5:
        return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 1.8))))
    if kind < 0.75:
        name = tuple(_MOTION_KERNELS)[rng.integers(len(_MOTION_KERNELS))]
        return image.filter(ImageFilter.Kernel((5, 5), _MOTION_KERNELS[name]))
    return image


def lit(pixels: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Apply contrast, brightness, a colour cast, a linear light gradient and sensor noise."""
    height, width, _ = pixels.shape
    contrast, brightness = rng.uniform(0.45, 1.15), rng.uniform(-40, 30)
    cast = rng.normal(0, 6, 3)
    slope = rng.normal(0, 22, 2)
    gradient = np.add.outer(
        slope[0] * np.linspace(-1, 1, height), slope[1] * np.linspace(-1, 1, width)
    )
    noise = rng.standard_normal(pixels.shape, np.float32) * rng.uniform(0, 9)
    exposed = (pixels - 128) * contrast + 128 + brightness + cast
    lit: NDArray[np.float32] = (exposed + gradient[..., None] + noise).astype(np.float32)
    return lit


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def photograph(
    plate: CleanPlate, size: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the plate as a camera with a cropping detector would deliver it.

    Args:
        plate: The clean plate.
        size: Width and height of the result in pixels.
        rng: The source of every distortion.

    Returns:
        RGB uint8 [height, width, 3], and the x of each character's centre in it, in pixels.
    """
    width, height = size
    double = (2 * width, 2 * height)
    frame = np.array([(0, 0), (double[0], 0), double, (0, double[1])], np.float64)
    to_plate = homography(frame, _view(rng))
    image = plate.image.transform(
        double,
        Image.Transform.PERSPECTIVE,
        tuple(float(c) for c in (to_plate / to_plate[2, 2]).reshape(9)[:8]),
        Image.Resampling.BILINEAR,
    )
    image = _blur(image, rng).reduce(2)
    pixels = lit(np.asarray(image, np.float32), rng)
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    if rng.random() < 0.7:
        image = _jpeg(image, int(rng.integers(35, 95)))

    homogeneous = np.column_stack([plate.centres, np.ones(len(plate.centres))])
    seen = homogeneous @ np.linalg.inv(to_plate).T
    return np.asarray(image), seen[:, 0] / seen[:, 2] / 2
