"""Synthetic plates rendered once and held in memory, ready to be cut into batches."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lprc.models.losses import align
from lprc.models.plate_config import PlateConfig
from lprc.models.synthetic import SyntheticPlate, synthetic_plate

TIME_STEPS = 18
"""Time steps of LPRNet for an image 94 pixels wide."""

LONGEST_LABEL = 8

_CHUNK = 1000
"""Plates that a process draws at once."""


DrawPlate = Callable[[int, int, PlateConfig], SyntheticPlate]


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
    count: int,
    seed: int,
    config: PlateConfig,
    *,
    first: int = 0,
    draw: DrawPlate = synthetic_plate,
    advance: Callable[[], object] = lambda: None,
) -> PlateSet:
    """Return ``count`` plates of ``seed``; ``advance`` is called after each.

    Args:
        count: How many.
        seed: Names the sequence.
        config: Their alphabet and size.
        first: The number of the first.
        draw: Draws one by its number, the seed and ``config``.
        advance: For showing progress.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    images = np.empty((count, config.height, config.width, 3), np.uint8)
    labels: list[str] = []
    targets = np.zeros((count, LONGEST_LABEL), np.int64)
    frames = np.empty((count, TIME_STEPS), np.int64)
    classes = {character: index for index, character in enumerate(config.alphabet)}
    for index in range(count):
        plate = draw(first + index, seed, config)
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


def render_in_processes(
    count: int,
    seed: int,
    config: PlateConfig,
    *,
    workers: int,
    draw: DrawPlate = synthetic_plate,
) -> PlateSet:
    """Return what `render_plates` returns, drawn by ``workers`` processes.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    starts = range(0, count, _CHUNK)
    sizes = [min(_CHUNK, count - start) for start in starts]
    context = multiprocessing.get_context("spawn")  # a device may be in use already
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        parts = list(pool.map(partial(_render_part, seed, config, draw), starts, sizes))
    return PlateSet(
        np.concatenate([part.images for part in parts]),
        tuple(label for part in parts for label in part.labels),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.frames for part in parts]),
    )


def _render_part(
    seed: int, config: PlateConfig, draw: DrawPlate, first: int, count: int
) -> PlateSet:
    return render_plates(count, seed, config, first=first, draw=draw)
