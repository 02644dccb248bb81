"""Average precision of many images, as COCO defines it.

T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", arXiv:1405.0312: precision at 101
recalls, each the best at that recall or a higher one. What `matching` keeps of each image is enough
for it, so that a bootstrap can resample images a thousand times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OVERLAPS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
"""A detection is right where it overlaps a truth by so much."""

_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class ImageMatches:
    """What is remembered of one image.

    Attributes:
        classes: int64 [n], of what was found.
        scores: float64 [n], falling within a class.
        right: bool [overlaps, n]: whether it matches a truth of its class.
        counted: bool [overlaps, n]: False for what lies in a crowd, which counts neither way.
        truths: int64 [classes], how many there are to find.
    """

    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    truths: NDArray[np.int64]


@dataclass(frozen=True)
class ClassPrecision:
    """At one overlap, for each class; NaN where there is nothing to find.

    Attributes:
        precision: float64 [classes].
        recall: float64 [classes]: the part of the truths that is found at any score.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def class_precision(images: Sequence[ImageMatches], overlap: int = 0) -> ClassPrecision:
    """The average precision of each class.

    Args:
        images: At least one.
        overlap: Which of `OVERLAPS`.
    """
    truths = np.sum([image.truths for image in images], axis=0)
    counted = np.concatenate([image.counted[overlap] for image in images])
    classes = np.concatenate([image.classes for image in images])[counted]
    scores = np.concatenate([image.scores for image in images])[counted]
    right = np.concatenate([image.right[overlap] for image in images])[counted]
    order = np.argsort(-scores, kind="stable")
    if len(truths) > 1:
        order = order[np.argsort(classes[order], kind="stable")]
    return _precision(classes[order], right[order], truths)


def _precision(
    classes: NDArray[np.int64], right: NDArray[np.bool_], truths: NDArray[np.int64]
) -> ClassPrecision:
    """Of what was found, class after class, best first."""
    starts = np.searchsorted(classes, np.arange(len(truths) + 1))
    all_hits = np.concatenate([[0], np.cumsum(right)])
    places = np.flatnonzero(right)
    owners = classes[places]
    # At a hit: hits of the class so far, over detections of the class so far.
    precision = (np.arange(1, len(places) + 1) - all_hits[starts[owners]]) / (
        places + 1 - starts[owners]
    )
    # The best precision from here to the class's end: what is added falls from class to class, so
    # that no class sees another's.
    shift = 2.0 * (len(truths) - owners)
    envelope = np.maximum.accumulate((precision + shift)[::-1])[::-1] - shift
    hits = all_hits[starts[1:]] - all_hits[starts[:-1]]
    wanted = _hits_for_recalls(truths)
    reached = (wanted <= hits[:, None]) & (hits[:, None] > 0)
    index = all_hits[starts[:-1], None] + np.maximum(wanted, 1) - 1
    values = np.append(envelope, 0.0)[np.where(reached, index, len(envelope))]
    with np.errstate(invalid="ignore"):
        return ClassPrecision(
            np.where(truths > 0, values.mean(axis=1), np.nan),
            hits / np.where(truths, truths, np.nan),
        )


def _hits_for_recalls(truths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fewest hits with which hits over truths is at least each recall, int64 [classes, 101].

    Rounding decides as it does where floats are compared: COCO's code compares them.
    """
    counts = np.maximum(truths, 1)[:, None]
    hits = np.ceil(_RECALLS * counts)
    hits = np.where((hits - 1) / counts >= _RECALLS, hits - 1, hits)
    hits = np.where(hits / counts < _RECALLS, hits + 1, hits)
    return hits.astype(np.int64)


def mean_precision(images: Sequence[ImageMatches], overlap: int = 0) -> float:
    """The mean over the classes that there are to find; NaN where there are none."""
    precisions = class_precision(images, overlap).precision
    return float(np.nanmean(precisions)) if np.isfinite(precisions).any() else float("nan")
