"""What is in an image, by its annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lprc.core.errors import DataError

_ROUNDING = 1.0
"""Pixels by which annotations may lie beyond the image's edge."""


@dataclass(frozen=True)
class Truth:
    """What is in one image.

    Attributes:
        boxes: float64 [n, 4]: left, top, right, bottom in pixels.
        classes: int64 [n].
        crowd: bool [n]: whether it is a group; what is found in one counts neither way.
        texts: What stands in each box; None where the annotations do not say. Empty where none do.
    """

    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    texts: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Box:
    """One annotated box.

    Attributes:
        left: In pixels.
        top: In pixels.
        width: In pixels.
        height: In pixels.
        label: Its class.
        where: What to call it in errors.
        crowd: Whether it is a group.
        text: What stands in it; None where the annotations do not say.
    """

    left: float
    top: float
    width: float
    height: float
    label: int
    where: str
    crowd: bool = False
    text: str | None = None


def truth_of(boxes: Sequence[Box], size: tuple[int, int]) -> Truth:
    """The boxes of an image, cut off at its edges.

    Args:
        boxes: Annotated.
        size: Width and height of the image in pixels.

    Raises:
        DataError: A box is empty, or outside of the image.
    """
    for box in boxes:
        ends = (box.left + box.width, box.top + box.height)
        if box.width <= 0 or box.height <= 0:
            raise DataError(f"a box of {box.width:g} x {box.height:g} pixels", where=box.where)
        if min(box.left, box.top) < -_ROUNDING or any(
            end > side + _ROUNDING for end, side in zip(ends, size, strict=True)
        ):
            raise DataError(
                f"the box from {box.left:g}, {box.top:g} to {ends[0]:g}, {ends[1]:g} lies outside "
                f"of the image, which is {size[0]} x {size[1]}",
                where=box.where,
                hint="a box is left, top, width, height in pixels of the image (YOLO: centre and "
                "size in parts of it)",
            )
    rows = [(b.left, b.top, b.left + b.width, b.top + b.height) for b in boxes]
    corners = np.array(rows, np.float64).reshape(-1, 4)
    return Truth(
        np.clip(corners, 0, np.array(size * 2, np.float64)),
        np.array([box.label for box in boxes], np.int64),
        np.array([box.crowd for box in boxes], bool),
        tuple(box.text for box in boxes) if any(box.text is not None for box in boxes) else (),
    )
