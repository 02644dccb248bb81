"""Which head a network has, by the shapes of its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lprc.core.tasks.points import grid_sizes
from lprc.models.tasks.detection.table import Head

Shape = tuple[int, ...]

_THREE, _FOUR, _FIVE = (8, 16, 32), (8, 16, 32, 64), (8, 16, 32, 64, 128)
_ANCHORS = 3
"""YOLOv5's for each cell."""

_YOLO_BINS, _NANODET_BINS = 16, 8
_MOST_FOUND = 1000
"""Boxes behind suppression; heads have more cells."""


@dataclass(frozen=True)
class Guess:
    """A head and its number of classes."""

    head: Head
    classes: int


def guessed_heads(
    shapes: Mapping[str, Shape], size: tuple[int, int], *, classes: int | None = None
) -> list[Guess]:
    """The heads that have outputs of such shapes, the most usual first.

    Args:
        shapes: Of the outputs, by name.
        size: Width and height of the input in pixels.
        classes: How many there are, where that is known.
    """
    given = list(shapes.values())
    guesses = _one(given[0], size) if len(given) == 1 else _several(given, size)
    return [
        guess
        for guess in guesses
        if guess.classes >= 1 and (guess.head == "nms" or classes in (None, guess.classes))
    ]


def _cells(size: tuple[int, int], strides: tuple[int, ...]) -> int:
    return sum(columns * rows for columns, rows in grid_sizes(size, strides))


def _one(shape: Shape, size: tuple[int, int]) -> Iterator[Guess]:
    if len(shape) == 3:
        cells, more = _cells(size, _THREE), _cells(size, _FOUR)
        if shape[1] == _ANCHORS * cells:
            yield Guess("yolov5", shape[2] - 5)
        if shape[1] == cells:
            yield Guess("yolox", shape[2] - 5)
        if shape[2] == cells:
            yield Guess("yolov8", shape[1] - 4)
        if shape[1] == cells:
            yield Guess("yolov8", shape[2] - 4)
        if shape[1] in (cells, more):
            yield Guess("nanodet", shape[2] - 4 * _NANODET_BINS)
    if len(shape) in (2, 3) and shape[-1] == 6 and (len(shape) < 3 or shape[1] <= _MOST_FOUND):
        yield Guess("nms", 1)
    if len(shape) == 3 and shape[1] < shape[2]:  # of other strides
        yield Guess("yolov8", shape[1] - 4)


def _several(shapes: list[Shape], size: tuple[int, int]) -> Iterator[Guess]:
    maps = [shape for shape in shapes if len(shape) in (4, 5)]
    if len(maps) == len(shapes):
        yield from _maps(maps)
        return
    flat = [shape for shape in shapes if len(shape) in (2, 3)]
    boxes = [shape for shape in flat if shape[-1] == 4 and len(shape) == 3]
    if len(boxes) != 1:
        # Ultralytics' export with the raw maps beside the decoded boxes.
        for shape in flat:
            yield from _one(shape, size)
        return
    count = boxes[0][1]
    scores = [s for s in flat if s != boxes[0] and s[1:2] == (count,)]
    if count <= _MOST_FOUND and sum(len(shape) == 2 for shape in scores) >= 2:
        yield Guess("nms", 1)
        return
    if count == _cells(size, _FIVE) and len(scores) == 2:
        yield Guess("fcos", max(shape[2] if len(shape) == 3 else 1 for shape in scores))
    landmarks = [shape for shape in scores if shape[2:] == (10,)]
    for shape in scores:
        width = shape[2] if len(shape) == 3 else 1
        if landmarks and width != 10:
            yield Guess("retinaface", width - 1)
        elif not landmarks:
            yield Guess("boxes", width)


def _maps(shapes: list[Shape]) -> Iterator[Guess]:
    """Of maps of each level."""
    if all(len(shape) == 5 for shape in shapes):
        yield Guess("yolov5", shapes[0][4] - 5)
        return
    widths = sorted({shape[1] for shape in shapes})
    levels = len(shapes) // len(widths)
    if len(widths) == 1 and levels == len(_THREE):
        classes, uneven = divmod(widths[0], _ANCHORS)
        joint = Guess("yolov8-dfl", widths[0] - 4 * _YOLO_BINS)
        split = Guess("yolov5", 0 if uneven else classes - 5)
        yield from (split, joint) if split.classes == 80 else (joint, split)
    elif {1, 4} < set(widths) and len(widths) == 3 and levels == len(_FIVE):
        yield Guess("fcos", next(width for width in widths if width not in (1, 4)))
    elif len(widths) == 2 and 4 * _YOLO_BINS in widths and levels == len(_THREE):
        yield Guess("yolov8-dfl", next(width for width in widths if width != 4 * _YOLO_BINS))
