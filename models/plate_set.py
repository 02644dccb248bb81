"""Synthetic plates rendered once and held in memory, ready to be cut into batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lprc.models.losses import align
from lprc.models.synthetic import synthetic_plate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lprc.models.plate_config import PlateConfig

TIME_STEPS = 18
"""Time steps of LPRNet for an image 94 pixels wide."""

LONGEST_LABEL = 8


@dataclass(frozen=True)
class PlateSet:
    """Plates as arrays.

    Attributes:
        images: uint8 [n, height, width, 3].
        labels: n texts.
        targets: int64 [n, LONGEST_LABEL], the classes of each label, padded with 0.
        lengths: int64 [n], the characters of each label.
        frames: int64 [n, TIME_STEPS], the class that each time step should show.
    """

    images: NDArray[np.uint8]
    labels: tuple[str, ...]
    targets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    frames: NDArray[np.int64]


def render_plates(
    count: int, seed: int, config: PlateConfig, *, advance: Callable[[], object] = lambda: None
) -> PlateSet:
    """Return the first ``count`` plates of ``seed``; ``advance`` is called after each.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    images = np.empty((count, config.height, config.width, 3), np.uint8)
    labels: list[str] = []
    targets = np.zeros((count, LONGEST_LABEL), np.int64)
    frames = np.empty((count, TIME_STEPS), np.int64)
    classes = {character: index for index, character in enumerate(config.alphabet)}
    for index in range(count):
        plate = synthetic_plate(index, seed, config)
        label = np.array([classes[character] for character in plate.label], np.int64)
        images[index] = plate.image
        labels.append(plate.label)
        targets[index, : len(label)] = label
        frames[index] = align(
            label, plate.centres, width=config.width, steps=TIME_STEPS, blank=config.blank
        )
        advance()
    lengths = np.array([len(label) for label in labels], np.int64)
    return PlateSet(images, tuple(labels), targets, lengths, frames)
