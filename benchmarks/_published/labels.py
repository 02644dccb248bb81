"""Names beside the points of a plot so that none covers another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

FONT_SIZE = 7.0
_WIDTH, _HEIGHT = 0.58, 1.25
"""Of a letter, over the size of its font."""
_POINT = 4.0
"""Half the side of what a marker takes, in points."""
_FAR = 12.0
"""From where on, in points, a line says which point a name belongs to."""


class Box(NamedTuple):
    """A rectangle, in points of 1/72 inch."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: Box) -> float:
        """The area that both have."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)


def places(points: Sequence[tuple[float, float]], texts: Sequence[str], frame: Box) -> list[Box]:
    """Where each text goes: near its point, within the frame, over as little as can be.

    Args:
        points: In points of 1/72 inch, as the frame.
        texts: One for each point.
        frame: What the plot shows.
    """
    taken = [Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points]
    boxes = []
    for point, text in zip(points, texts, strict=True):
        candidates = list(_candidates(point, text))
        best = min(candidates, key=lambda pair: _cost(*pair, taken, frame))[0]
        taken.append(best)
        boxes.append(best)
    return boxes


def annotate(axes: Any, points: Sequence[tuple[str, float, float, str]]) -> None:
    """Write names into axes whose scales and limits are final.

    Args:
        axes: Of matplotlib.
        points: Name, x and y as data, and colour.
    """
    figure = axes.figure
    figure.canvas.draw()  # the layout is known from here on
    scale = 72.0 / figure.dpi
    pixels = axes.transData.transform([(x, y) for _, x, y, _ in points]) * scale
    bounds = axes.get_window_extent()
    frame = Box(bounds.x0 * scale, bounds.y0 * scale, bounds.x1 * scale, bounds.y1 * scale)
    at = [(float(x), float(y)) for x, y in pixels]
    boxes = places(at, [name for name, *_ in points], frame)
    for (name, x, y, color), (px, py), box in zip(points, at, boxes, strict=True):
        middle = ((box.left + box.right) / 2 - px, (box.bottom + box.top) / 2 - py)
        line = {"arrowstyle": "-", "color": color, "lw": 0.4, "shrinkA": 0, "shrinkB": 2}
        far = _distance((px, py), box) > _FAR
        axes.annotate(
            name, (x, y), xytext=middle, textcoords="offset points", ha="center", va="center",
            fontsize=FONT_SIZE, color=color, arrowprops=line if far else None,
        )  # fmt: skip


def _candidates(point: tuple[float, float], text: str) -> Iterator[tuple[Box, float]]:
    """Boxes around a point, and how far each is."""
    width, height = len(text) * FONT_SIZE * _WIDTH, FONT_SIZE * _HEIGHT
    for distance, turn in itertools.product((6, 14, 24, 36, 50, 66, 84, 104), range(16)):
        angle = 2 * math.pi * turn / 16
        x = point[0] + (distance + width / 2) * math.cos(angle)
        y = point[1] + (distance + height / 2) * math.sin(angle)
        yield Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2), distance


def _cost(box: Box, distance: float, taken: Sequence[Box], frame: Box) -> float:
    area = (box.right - box.left) * (box.top - box.bottom)
    outside = area - box.overlap(frame)
    return distance + 20 * (sum(box.overlap(other) for other in taken) + 5 * outside)


def _distance(point: tuple[float, float], box: Box) -> float:
    """From a point to the nearest place of a box."""
    x = max(box.left - point[0], 0.0, point[0] - box.right)
    y = max(box.bottom - point[1], 0.0, point[1] - box.top)
    return math.hypot(x, y)
