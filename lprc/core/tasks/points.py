"""The grids of points and prior boxes that a head's cells belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def grid_sizes(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Columns and rows of each grid of an input of `size`: width and height in pixels."""
    return [(-(-size[0] // stride), -(-size[1] // stride)) for stride in strides]


def grid_points(
    size: tuple[int, int], strides: Sequence[int], offset: float = 0.5
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The points of an input, grid after grid, row after row.

    Args:
        size: Width and height of the input in pixels.
        strides: Pixels from a point to the next, one for each grid.
        offset: Of a cell's point within the cell, in strides.

    Returns:
        float32 [points, 2] (x, y in pixels), and their strides, float32 [points, 1].
    """
    points, steps = [], []
    for stride, (columns, rows) in zip(strides, grid_sizes(size, strides), strict=True):
        y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
        cells = np.stack([x.reshape(-1), y.reshape(-1)], axis=1)
        points.append((cells.astype(np.float32) + np.float32(offset)) * np.float32(stride))
        steps.append(np.full((len(cells), 1), stride, np.float32))
    return np.concatenate(points), np.concatenate(steps)


def prior_boxes(
    size: tuple[int, int],
    strides: Sequence[int],
    anchors: Sequence[Sequence[tuple[float, float]]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The prior boxes of an input: grid after grid, cell after cell, anchor after anchor.

    Args:
        size: Width and height of the input in pixels.
        strides: Of each grid.
        anchors: Widths and heights in pixels of each grid's priors.

    Returns:
        float32 [priors, 4] (x and y of the centre, width, height in pixels), and the strides,
        float32 [priors, 1].
    """
    priors, steps = [], []
    for stride, shapes in zip(strides, anchors, strict=True):
        points, step = grid_points(size, [stride])
        count = len(shapes)
        sides = np.tile(np.asarray(shapes, np.float32), (len(points), 1))
        priors.append(np.concatenate([np.repeat(points, count, axis=0), sides], axis=1))
        steps.append(np.repeat(step, count, axis=0))
    return np.concatenate(priors), np.concatenate(steps)
