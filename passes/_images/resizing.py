"""Pictures of another size than the network takes, in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

How = Literal["stretch", "letterbox", "crop"]
Interpolation = Literal["linear", "nearest", "cubic"]
Size = tuple[int, int]

CUBIC = -0.75
"""The free number of the cubic weights, as OpenCV and PyTorch have it."""


@dataclass(frozen=True)
class Resizing:
    """How pictures get the network's size; without antialiasing, by the centres of pixels.

    Attributes:
        size: The network's height and width.
        pictures: Those of the pictures; None where each may have its own.
        how: ``stretch`` to the size; ``letterbox``: as large as fits into it, in the middle, with
            a border; ``crop``: as small as fills it, what sticks out cut off on both sides.
        interpolation: Between pixels.
        fill: The byte of the border.
    """

    size: Size
    pictures: Size | None
    how: How
    interpolation: Interpolation
    fill: float

    def resized(self, pictures: Size) -> Size:
        """The height and width that pictures of a size are scaled to, before border and cut.

        Computed in float32, as the operators do it.
        """
        if self.how == "stretch":
            return self.size
        ratios = np.array(self.size, np.float32) / np.array(pictures, np.float32)
        scale = ratios.min() if self.how == "letterbox" else ratios.max()
        sizes = np.floor(np.array(pictures, np.float32) * scale + np.float32(0.5))
        height, width = np.maximum(sizes, 1).astype(int)
        return int(height), int(width)

    def begin(self, resized: Size) -> Size:
        """Where the resized picture begins in the network's (or the other way round for crop)."""
        height, width = (
            abs(has - wants) // 2 for has, wants in zip(resized, self.size, strict=True)
        )
        return height, width

    def apply(self, pictures: NDArray[Any]) -> NDArray[np.float64]:
        """Float64 [N, height, width, channels] of the network's size, of pictures of any size."""
        height, width = self.resized((pictures.shape[1], pictures.shape[2]))
        rows = self._weights(pictures.shape[1], height)
        columns = self._weights(pictures.shape[2], width)
        wide = pictures.astype(np.float64)
        scaled: NDArray[np.float64] = np.einsum("yh,nhwc,xw->nyxc", rows, wide, columns)
        top, left = self.begin((height, width))
        if self.how == "crop":
            return scaled[:, top : top + self.size[0], left : left + self.size[1]]
        if self.how == "stretch":
            return scaled
        whole = np.full((len(scaled), *self.size, scaled.shape[3]), float(self.fill))
        whole[:, top : top + height, left : left + width] = scaled
        return whole

    def _weights(self, has: int, wants: int) -> NDArray[np.float64]:
        scale = None if self.pictures is None else written_scale(has, wants)
        return weights(has, wants, self.interpolation, scale)

    def enlarged(self, network: NDArray[Any]) -> NDArray[Any]:
        """Pictures [N, height, width, channels] whose size the graph takes, out of the network's.

        Where any size goes that is their own, and nothing is lost; else they are stretched.
        """
        if self.pictures is None or self.pictures == self.size:
            return network
        rows, columns = (
            (np.arange(wants) * has) // wants
            for has, wants in zip(self.size, self.pictures, strict=True)
        )
        return network[:, rows][:, :, columns]


def resize_attributes(interpolation: Interpolation) -> dict[str, Any]:
    """How ONNX's Resize is told to take the centres of pixels, as `weights` does."""
    attributes: dict[str, Any] = {
        "mode": interpolation,
        "coordinate_transformation_mode": "half_pixel",
    }
    if interpolation == "cubic":
        attributes["cubic_coeff_a"] = CUBIC
    return attributes


def written_scale(has: int, wants: int) -> float:
    """The float32 number nearest to ``wants / has`` with which Resize makes `wants` of `has`.

    Some multiply in float32 and some in float64 before they round down: it suits both.
    """
    scale = np.float32(wants / has)
    while has * float(scale) < wants:
        scale = np.float32(np.nextafter(scale, np.float32(np.inf)))
    return float(scale)


def weights(
    has: int, wants: int, interpolation: Interpolation, scale: float | None = None
) -> NDArray[np.float64]:
    """What each of `wants` pixels takes of each of `has` in a row; float64 [wants, has].

    As ONNX's Resize with half_pixel coordinates. Where a pixel lies in the middle between two,
    float32 decides which is nearest, as it does in the operator.

    Args:
        has: The pixels that there are.
        wants: The pixels that are made.
        interpolation: Between pixels.
        scale: As the operator is told; None where it computes it of the sizes.
    """
    centres = (np.arange(wants) + 0.5) * (has / wants) - 0.5
    if interpolation == "nearest":
        half = np.float32(0.5)
        ratio = np.float32(wants) / np.float32(has) if scale is None else np.float32(scale)
        coarse = (np.arange(wants, dtype=np.float32) + half) / ratio - half
        places, parts = np.ceil(coarse - half)[:, None], np.ones((wants, 1))
    else:
        reach = 1 if interpolation == "linear" else 2
        places = np.floor(centres)[:, None] + np.arange(1 - reach, reach + 1)
        distance = np.abs(centres[:, None] - places)
        parts = 1 - distance if interpolation == "linear" else _cubic(distance)
    matrix = np.zeros((wants, has))
    rows = np.broadcast_to(np.arange(wants)[:, None], places.shape)
    np.add.at(matrix, (rows, np.clip(places, 0, has - 1).astype(int)), parts)
    return matrix


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' weights, IEEE Transactions on Acoustics, Speech, and Signal Processing 29, 1981."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
