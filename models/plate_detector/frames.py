"""Photographs with the boxes of their plates, from a folder in COCO's form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from lprc.core.errors import DataError
from lprc.models.plate_detector.scene_background import SCENE_SIZE
from lprc.models.plate_detector.scenes import Scene

ANNOTATIONS_FILE = "instances.json"


def load_frames(folder: Path) -> list[Scene]:
    """Read the pictures that ``instances.json`` in ``folder`` lists, in its order.

    A picture of another size than `SCENE_SIZE` is scaled to fit and its boxes with it.

    Raises:
        DataError: A file is missing or can't be read, or the annotations are not COCO's.
    """
    where = folder / ANNOTATIONS_FILE
    try:
        document: dict[str, Any] = json.loads(where.read_text(encoding="utf-8"))
        boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in document["images"]}
        for annotation in document["annotations"]:
            x, y, width, height = annotation["bbox"]
            boxes[annotation["image_id"]].append([x, y, x + width, y + height])
        names = [(image["id"], str(image["file_name"])) for image in document["images"]]
    except OSError as error:
        raise DataError(
            f"can't be read: {error.strerror}",
            where=str(where),
            hint="name a folder of pictures with COCO's instances.json",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"is not COCO's instances: {error!r}", where=str(where)) from error
    return [_load(folder / name, boxes[identity]) for identity, name in names]


def _load(path: Path, boxes: list[list[float]]) -> Scene:
    try:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"can't be read: {error}", where=str(path)) from error
    scale = (SCENE_SIZE[0] / picture.width, SCENE_SIZE[1] / picture.height)
    if picture.size != SCENE_SIZE:
        picture = picture.resize(SCENE_SIZE, Image.Resampling.BILINEAR)
    scaled = np.array(boxes, np.float32).reshape(-1, 4) * np.array(scale * 2, np.float32)
    return Scene(np.asarray(picture), np.clip(scaled, 0, np.array(SCENE_SIZE * 2, np.float32)))
