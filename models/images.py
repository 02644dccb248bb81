"""Plate images as a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lprc.models.plate_config import PlateConfig


def load_image(path: Path, config: PlateConfig) -> NDArray[np.float32]:
    """Read one plate as float32 [3, height, width], preprocessed.

    An image of another size is resized (bilinear, antialiased).

    Raises:
        DataError: As of `lprc.core.tasks.image_files.read_image`.
    """
    return config.input.read(path)[0]


def load_batch(paths: Sequence[Path], config: PlateConfig) -> NDArray[np.float32]:
    """Read plates as float32 [N, 3, height, width]; errors as of `load_image`."""
    return np.stack([load_image(path, config) for path in paths])
