"""What the next network reads: pieces of an image, cut out by boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lprc.compiler.frames.pipeline_file import EdgeTable
from lprc.compiler.frames.rectify import least_rectangle, straightened
from lprc.models.tasks.detection.boxes import Detections

Matrix = NDArray[np.float64]
"""float64 [3, 3]: from pixels of a crop to pixels of what it was cut from."""


@dataclass(frozen=True)
class Crop:
    """One piece.

    Attributes:
        index: The number of its box among the detections.
        image: RGB.
        matrix: From its pixels to those of the image that it was cut from.
    """

    index: int
    image: Image.Image
    matrix: Matrix


def chosen_boxes(
    detections: Detections, edge: EdgeTable, classes: tuple[str, ...]
) -> NDArray[np.intp]:
    """The numbers of the boxes that an edge passes on, the best first.

    Args:
        detections: In pixels of the image, sorted by falling score.
        edge: Its `min_score` is known.
        classes: The detector's, by number.
    """
    sides = detections.boxes[:, 2:] - detections.boxes[:, :2]
    passing = (sides >= np.asarray(edge.min_size)).all(axis=1)
    passing &= detections.scores >= (edge.min_score or 0.0)
    if edge.classes:
        wanted = [index for index, name in enumerate(classes) if name in edge.classes]
        passing &= np.isin(detections.classes, wanted)
    return np.flatnonzero(passing)[: edge.top_k]


def crops(
    image: Image.Image, detections: Detections, edge: EdgeTable, classes: tuple[str, ...]
) -> Iterator[Crop]:
    """The pieces of an image that an edge passes on, the best box first.

    A piece is the box with the edge's margin, in whole pixels outwards, as far as the image goes.

    Args:
        image: RGB.
        detections: In its pixels.
        edge: What is passed on.
        classes: The detector's, by number.
    """
    for index in chosen_boxes(detections, edge, classes):
        box = detections.boxes[index].astype(np.float64)
        if edge.rectify == "landmarks" and detections.landmarks is not None:
            corners = detections.landmarks[index].astype(np.float64)
            yield Crop(int(index), *straightened(image, corners, edge.margin))
            continue
        left, top, right, bottom = outer_pixels(box, edge.margin, image.size)
        if right <= left or bottom <= top:
            continue
        piece = image.crop((left, top, right, bottom))
        matrix = shifted(left, top)
        if edge.rectify == "min-area-rectangle":
            rectangle = least_rectangle(piece)
            if rectangle is not None:
                straight, inner = straightened(piece, rectangle, (0.0, 0.0))
                yield Crop(int(index), straight, matrix @ inner)
                continue
        yield Crop(int(index), piece, matrix)


def outer_pixels(
    box: NDArray[np.float64], margin: tuple[float, float], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """A box with its margin in whole pixels: left, top, right, bottom, inside of the image.

    Args:
        box: float64 [4]: left, top, right, bottom in pixels.
        margin: Parts of its width and of its height, on each side.
        size: Width and height of the image.
    """
    across = margin[0] * (box[2] - box[0])
    down = margin[1] * (box[3] - box[1])
    low = np.floor([box[0] - across, box[1] - down])
    high = np.ceil([box[2] + across, box[3] + down])
    left, top = np.clip(low, 0, size).astype(int)
    right, bottom = np.clip(high, 0, size).astype(int)
    return int(left), int(top), int(right), int(bottom)


def shifted(left: float, top: float) -> Matrix:
    """The matrix of a piece whose upper left corner lies there."""
    return np.array([(1, 0, left), (0, 1, top), (0, 0, 1)], np.float64)


def mapped_box(box: NDArray[np.floating], matrix: Matrix) -> NDArray[np.float64]:
    """The upright box around where a crop's box lies in the image.

    Args:
        box: [4]: left, top, right, bottom in pixels of the crop.
        matrix: The crop's.
    """
    left, top, right, bottom = (float(side) for side in box)
    corners = np.array([(left, top, 1), (right, top, 1), (right, bottom, 1), (left, bottom, 1)])
    seen = corners @ matrix.T
    points = seen[:, :2] / seen[:, 2:]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
