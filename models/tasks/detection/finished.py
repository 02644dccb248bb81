"""Models with suppression inside: what comes out are the boxes that are found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lprc.models.tasks.detection.boxes import Detections
from lprc.models.tasks.detection.decoded import in_pixels
from lprc.models.tasks.detection.raw import Raw
from lprc.models.tasks.detection.roles import Array


def read_finished(raw: Raw, samples: int) -> list[Detections]:
    """The detections of each of the first samples, best first, in pixels of the input.

    Rows lie behind one another, or boxes, scores and labels in outputs of their own. What is below
    the threshold, or has a negative class, fills up.

    Args:
        raw: The outputs.
        samples: How many there are.

    Raises:
        DataError: The outputs are something else, or name a class that there is none.
    """
    columns = raw.settings.columns
    arrays = list(raw.outputs.values())
    if len(arrays) == 1:
        rows = arrays[0].astype(np.float32)
        if rows.shape[-1] != len(columns):
            raise raw.wrong(f"rows have {rows.shape[-1]} columns, not {len(columns)}")
        return [_from_rows(raw, part) for part in _by_image(raw, rows, samples)]
    boxes, scores, labels, counts = _parts(raw)
    return [
        _found(raw, boxes[index], scores[index], labels[index], counts[index])
        for index in range(samples)
    ]


def _by_image(raw: Raw, rows: Array, samples: int) -> list[Array]:
    """The rows [K, columns] of each image."""
    columns = raw.settings.columns
    if "image" in columns:
        flat = rows.reshape(-1, len(columns))
        image = flat[:, columns.index("image")]
        return [flat[image == index] for index in range(samples)]
    if rows.ndim == 2 and samples == 1:
        return [rows]
    if rows.ndim < 3 or rows.shape[0] < samples:
        raise raw.wrong("rows of several images have no axis of images, nor a column 'image'")
    return list(rows.reshape(rows.shape[0], -1, len(columns))[:samples])


def _from_rows(raw: Raw, rows: Array) -> Detections:
    columns = raw.settings.columns
    boxes = rows[:, [columns.index(side) for side in ("x1", "y1", "x2", "y2")]]
    scores, labels = (rows[:, columns.index(name)] for name in ("score", "class"))
    return _found(raw, boxes, scores, labels, len(rows))


def _parts(raw: Raw) -> tuple[Array, Array, Array, NDArray[np.int64]]:
    """Boxes [N, K, 4], scores and labels [N, K] and how many are valid, int64 [N]."""
    boxes = raw.needed("boxes", 4)
    rest = {name: array for name, array in raw.outputs.items() if array.shape[-1:] != (4,)}
    kinds = {name: _kind(raw, name, array) for name, array in rest.items()}
    parts = {kind: rest[name] for name, kind in kinds.items() if kind}
    if not {"scores", "labels"} <= parts.keys():
        raise raw.wrong("the outputs of scores and labels can't be told apart")
    shape = boxes.shape[:2]
    counts = parts.get("count", np.full(shape[0], shape[1])).reshape(-1).astype(np.int64)
    if len(counts) != shape[0] or any(
        parts[key].size != shape[0] * shape[1] for key in ("scores", "labels")
    ):
        raise raw.wrong("scores or labels are not as many as boxes")
    return boxes, parts["scores"].reshape(shape), parts["labels"].reshape(shape), counts


def _kind(raw: Raw, name: str, array: Array) -> str:
    """``scores``, ``labels`` or ``count``: by the task file, else by the name; empty for none."""
    for key in ("scores", "labels", "count"):
        if name in getattr(raw.settings, key):
            return key
    words = {"count": ("num", "count"), "labels": ("class", "label"), "scores": ("score", "conf")}
    for key, parts in words.items():
        if any(part in name.lower() for part in parts):
            return key
    return "labels" if np.issubdtype(array.dtype, np.integer) and array.ndim > 1 else ""


def _found(raw: Raw, boxes: Array, scores: Array, labels: Array, count: int) -> Detections:
    settings = raw.settings
    numbers = labels.astype(np.int64) - (settings.background == "first")
    valid = (np.arange(len(scores)) < count) & (numbers >= 0) & (scores >= settings.score_threshold)
    if valid.any() and numbers[valid].max() >= len(settings.classes):
        raise raw.wrong(f"class {numbers[valid].max()} is beyond the {len(settings.classes)}")
    order = np.flatnonzero(valid)
    order = order[np.argsort(-scores[order], kind="stable")][: settings.max_detections]
    return Detections(
        in_pixels(raw, boxes[order]), scores[order].astype(np.float32), numbers[order]
    )
