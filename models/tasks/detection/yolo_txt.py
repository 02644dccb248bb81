"""YOLO's annotations: a text file for each image."""

from __future__ import annotations

import math
from pathlib import Path

from lprc.core.errors import DataError
from lprc.core.files.image_listing import list_images
from lprc.core.files.regular import read_regular
from lprc.core.tasks.image_files import image_size
from lprc.core.tasks.task import Sample
from lprc.models.tasks.detection.truth import Box, truth_of

_FORM = "a line is: class, centre x, centre y, width, height, in parts of the image"


def read_yolo(images: Path, labels: Path, classes: tuple[str, ...]) -> list[Sample]:
    """Images and what is in them; an image without a file of labels has nothing in it.

    Args:
        images: The folder of images.
        labels: The folder of files with the images' names, as .txt.
        classes: The names by class.

    Raises:
        DataError: A file of labels has no image, or can't be used.
    """
    samples, unused = [], {path.stem: path for path in sorted(labels.glob("*.txt"))}
    if not unused:
        raise DataError("no .txt in it", where=str(labels))
    for path in list_images(images):
        size = image_size(path)
        file = unused.pop(path.stem, None)
        boxes = _boxes(file, size, classes) if file else []
        samples.append(Sample(path, truth_of(boxes, size), (file,) if file else ()))
    left = sorted(path for stem, path in unused.items() if stem != "classes")
    if left:
        raise DataError(f"has no image in {images}", where=str(left[0]))
    return samples


def _boxes(file: Path, size: tuple[int, int], classes: tuple[str, ...]) -> list[Box]:
    try:
        lines = read_regular(file).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't be read: {error}", where=str(file)) from error
    return [
        _box(line.split(), size, classes, f"{file}:{number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _box(cells: list[str], size: tuple[int, int], classes: tuple[str, ...], where: str) -> Box:
    try:
        label, *numbers = int(cells[0]), *map(float, cells[1:])
    except ValueError as error:
        raise DataError(f"{error}", where=where, hint=_FORM) from error
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise DataError(f"has {len(cells)} cells, not 5 finite numbers", where=where, hint=_FORM)
    if not 0 <= label < len(classes):
        raise DataError(
            f"class {label} is none of the {len(classes)}",
            where=where,
            hint=f"[output] classes are {', '.join(classes[:8])}",
        )
    x, y, width, height = (value * side for value, side in zip(numbers, size * 2, strict=True))
    return Box(x - width / 2, y - height / 2, width, height, label, where)
