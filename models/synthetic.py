"""Synthetic number plates: labelled images that owe nothing to anyone.

The same seed, count of plates before it, fonts and Pillow version give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lprc.models.synthetic_camera import photograph
from lprc.models.synthetic_layouts import label_of, sample_text
from lprc.models.synthetic_render import draw_plate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lprc.models.plate_config import PlateConfig


@dataclass(frozen=True)
class SyntheticPlate:
    """One generated plate.

    Attributes:
        image: uint8 [height, width, 3], its channels in the order that the configuration names.
        label: The characters that are read.
        centres: float64 [len(label)]: x of each character's centre, in pixels of ``image``.
    """

    image: NDArray[np.uint8]
    label: str
    centres: NDArray[np.float64]


def synthetic_plate(index: int, seed: int, config: PlateConfig) -> SyntheticPlate:
    """Return plate number ``index`` of the endless sequence that ``seed`` names.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    rng = np.random.default_rng([seed, index])
    text = sample_text(rng)
    clean = draw_plate(text, rng)
    image, centres = photograph(clean, (config.width, config.height), rng)
    if config.channels == "BGR":
        image = np.ascontiguousarray(image[..., ::-1])
    return SyntheticPlate(image, label_of(text), centres)


def generate(count: int, seed: int, config: PlateConfig) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """Yield ``count`` pairs of an image, uint8 [height, width, 3], and its label.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    for index in range(count):
        plate = synthetic_plate(index, seed, config)
        yield plate.image, plate.label
