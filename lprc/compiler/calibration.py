"""Real images as inputs of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lprc.core.errors import DataError
from lprc.core.model_io import load
from lprc.models.images import load_image
from lprc.models.labels import list_images
from lprc.models.plate_config import BUILTIN, PlateConfig

LIMIT = 32
"""Images that are enough to verify with."""


def read_calibration(
    folder: Path, plates: str | None, model: Path
) -> list[dict[str, NDArray[Any]]]:
    """The first images of `folder`, preprocessed, each a set of inputs of batch 1.

    Args:
        folder: Images; labels are not needed.
        plates: Name or file of the plates' configuration; None takes the first built-in one.
        model: Whose one input takes them.

    Raises:
        DataError: Unreadable images, or a model with other than one input.
    """
    graph = load(model).graph
    names = [value.name for value in graph.inputs if not value.is_initializer()]
    if len(names) != 1 or names[0] is None:
        raise DataError(
            f"has {len(names)} inputs, and --calib gives one image",
            where=str(model),
            hint="leave --calib out, and random inputs are used",
        )
    config = PlateConfig.named(plates or BUILTIN[0])
    images = list_images(folder)[:LIMIT]
    return [{names[0]: load_image(path, config)[None]} for path in images]
