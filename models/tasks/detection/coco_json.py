"""COCO's annotations: one JSON file for many images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lprc.core.errors import DataError
from lprc.core.files.checked import Open, checked_json
from lprc.core.tasks.image_files import image_size
from lprc.core.tasks.task import Sample
from lprc.models.tasks.detection.truth import Box, truth_of


def _four(values: list[float]) -> list[float]:
    if len(values) != 4:
        raise ValueError("must be four numbers: left, top, width, height")
    return values


class CocoImage(Open):
    """One image; its size where the file says it."""

    id: int
    file_name: Annotated[str, Field(min_length=1)]
    width: int | None = None
    height: int | None = None


class CocoAnnotation(Open):
    """One box, and what stands in it where the file says so."""

    image_id: int
    category_id: int
    bbox: Annotated[list[float], AfterValidator(_four)]
    iscrowd: Literal[0, 1] = 0
    text: str | None = None


class CocoCategory(Open):
    """One class."""

    id: int
    name: str


class CocoFile(Open):
    """What of a COCO file matters to a detector."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


def read_coco(file: Path, images: str, classes: tuple[str, ...]) -> list[Sample]:
    """The images that a COCO file lists, by their numbers, with what is in them.

    The images lie beside the file, in a folder `images` beside it or beside its folder, or as COCO
    itself has them: ``val2017/`` for ``annotations/instances_val2017.json``.

    Args:
        file: COCO's JSON.
        images: The name of a folder of images.
        classes: The names by class; categories are told by name.

    Raises:
        DataError: It can't be read, names an unknown category or image, or does not fit the images.
    """
    document = checked_json(
        CocoFile, file, error=DataError, hint="name COCO's JSON, or a folder with instances.json"
    )
    listed = {image.id: image for image in document.images}
    if not listed:
        raise DataError("lists no images", where=str(file))
    if len(listed) != len(document.images):
        raise DataError("two images have one id", where=str(file))
    boxes = _boxes(document, listed.keys(), classes, file)
    root = _root(file, images, document.images[0].file_name)
    samples = []
    for number in sorted(listed):
        image = listed[number]
        path = _path(root, image.file_name, file)
        size = image_size(path)
        claimed = (image.width or size[0], image.height or size[1])
        if claimed != size:
            raise DataError(
                f"is {size[0]} x {size[1]}, and its annotations are for "
                f"{claimed[0]} x {claimed[1]}",
                where=str(path),
                hint=f"{file} says so: boxes of another size can't be compared",
            )
        samples.append(Sample(path, truth_of(boxes[number], size), (file,)))
    return samples


def _boxes(
    document: CocoFile, images: Container[int], classes: tuple[str, ...], file: Path
) -> dict[int, list[Box]]:
    """The boxes by image."""
    labels = {
        category.id: classes.index(category.name)
        for category in document.categories
        if category.name in classes
    }
    names = {category.id: f"'{category.name}'" for category in document.categories}
    boxes: dict[int, list[Box]] = defaultdict(list)
    for index, item in enumerate(document.annotations):
        where = f"{file}: annotations.{index}"
        if item.image_id not in images:
            raise DataError(f"image {item.image_id} is not listed", where=where)
        if item.category_id not in labels:
            name = names.get(item.category_id, "which the file does not list")
            raise DataError(
                f"unknown category {item.category_id}, {name}",
                where=where,
                hint=f"[output] classes are {', '.join(classes[:8])}",
            )
        left, top, width, height = item.bbox
        label, crowd = labels[item.category_id], bool(item.iscrowd)
        boxes[item.image_id].append(Box(left, top, width, height, label, where, crowd, item.text))
    return boxes


def _root(file: Path, images: str, first: str) -> Path:
    """The folder that file names start from."""
    outer = file.parent.parent
    places = [file.parent, file.parent / images, outer, outer / images]
    places.append(outer / file.stem.removeprefix("instances_"))
    for place in places:
        if (place / first).is_file():
            return place
    raise DataError(
        f"image '{first}' is missing",
        where=str(file),
        hint=f"put the images beside it or into {file.parent / images}; [data] images names "
        "another folder",
    )


def _path(root: Path, name: str, file: Path) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataError(f"image '{name}' is not in the folder", where=str(file))
    path = root / name
    if not path.is_file():
        raise DataError(f"image '{name}' is missing in {root}", where=str(file))
    return path
