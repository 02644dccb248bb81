"""Crops made straight: what lies aslant in a picture becomes an upright rectangle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lprc.core.errors import MissingDependencyError
from lprc.core.process.installed import is_installed
from lprc.models.synthetic_camera import homography

_LEAST_SHARE = 0.25
"""Of a crop that its brightest region must fill to be taken for a plate."""


def check_opencv() -> None:
    """Refuse before any work what needs OpenCV where there is none.

    Raises:
        MissingDependencyError: It is not installed.
    """
    if not is_installed("cv2"):
        raise MissingDependencyError(
            'rectify = "min-area-rectangle" needs OpenCV', hint='pip install "lprc[vision]"'
        )


def straightened(
    image: Image.Image, corners: NDArray[np.float64], margin: tuple[float, float]
) -> tuple[Image.Image, NDArray[np.float64]]:
    """The four-sided piece of an image as an upright rectangle, sampled bilinearly.

    Args:
        image: RGB.
        corners: float64 [4, 2] in pixels, in any order.
        margin: Parts of the rectangle's width and height that are added on each side.

    Returns:
        The piece, and the matrix [3, 3] from its pixels to the image's.
    """
    ordered = clockwise(corners)
    sides = np.linalg.norm(ordered - np.roll(ordered, -1, axis=0), axis=1)
    width = max(1, round(float(sides[[0, 2]].max())))
    height = max(1, round(float(sides[[1, 3]].max())))
    left, top = margin[0] * width, margin[1] * height
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    flat += np.array((left, top))
    matrix = homography(flat, ordered)
    matrix = matrix / matrix[2, 2]
    size = (max(1, round(width + 2 * left)), max(1, round(height + 2 * top)))
    coefficients = tuple(float(value) for value in matrix.reshape(9)[:8])
    piece = image.transform(
        size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR
    )
    return piece, matrix


def clockwise(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Four corners from the upper left one clockwise, as they stand in a picture.

    Args:
        corners: float64 [4, 2]: x to the right, y down.
    """
    centre = corners.mean(axis=0)
    angles = np.arctan2(corners[:, 1] - centre[1], corners[:, 0] - centre[0])
    around = corners[np.argsort(angles)]
    return np.roll(around, -int(around.sum(axis=1).argmin()), axis=0)


def least_rectangle(piece: Image.Image) -> NDArray[np.float64] | None:
    """The corners of the least rectangle, at any angle, around a crop's brightest region.

    The region is the largest one above Otsu's threshold ("A threshold selection method from
    gray-level histograms", 1979).

    Args:
        piece: RGB.

    Returns:
        float64 [4, 2] in pixels; None where no region fills a quarter of the crop.
    """
    import cv2

    grey = np.asarray(piece.convert("L"))
    _, bright = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return None
    rectangle = cv2.minAreaRect(max(outlines, key=cv2.contourArea))
    if rectangle[1][0] * rectangle[1][1] < _LEAST_SHARE * grey.size:
        return None
    return np.asarray(cv2.boxPoints(rectangle), np.float64)
