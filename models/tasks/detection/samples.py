"""Labelled images of a detector: COCO's JSON, or YOLO's text files."""

from __future__ import annotations

from pathlib import Path

from lprc.core.errors import DataError
from lprc.core.tasks.task import Sample
from lprc.models.tasks.detection.coco_json import read_coco
from lprc.models.tasks.detection.table import BoxData
from lprc.models.tasks.detection.yolo_txt import read_yolo

ANNOTATIONS_FILES = ("instances.json", "annotations.json", "_annotations.coco.json")


def read_samples(data: Path, settings: BoxData, classes: tuple[str, ...]) -> list[Sample]:
    """The images of a COCO file, a folder with one, or a folder of images and YOLO's labels.

    Args:
        data: The file or folder.
        settings: Where things lie in the folder.
        classes: The names by class.

    Raises:
        DataError: There are no labels, or some that can't be used.
    """
    if data.is_file():
        return read_coco(data, settings.images, classes)
    if not data.is_dir():
        raise DataError("no such folder", where=str(data))
    if settings.annotations:
        return read_coco(data / settings.annotations, settings.images, classes)
    for name in ANNOTATIONS_FILES:
        if (data / name).is_file():
            return read_coco(data / name, settings.images, classes)
    if (data / settings.labels).is_dir():
        return read_yolo(data / settings.images, data / settings.labels, classes)
    raise DataError(
        "has no labels",
        where=str(data),
        hint=f"put COCO's {ANNOTATIONS_FILES[0]} into it, or folders {settings.images}/ and "
        f"{settings.labels}/ with a .txt for each image; [data] names others",
    )
