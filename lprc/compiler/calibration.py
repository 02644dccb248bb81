"""Real images as inputs of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core import editing
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
    inputs = [value for value in graph.inputs if not value.is_initializer()]
    if len(inputs) != 1 or inputs[0].name is None:
        raise DataError(
            f"has {len(inputs)} inputs, and --calib gives one image",
            where=str(model),
            hint="leave --calib out, and random inputs are used",
        )
    config = PlateConfig.named(plates or BUILTIN[0])
    _check_size(inputs[0], config, model)
    images = list_images(folder)[:LIMIT]
    return [{inputs[0].name: load_image(path, config)[None]} for path in images]


def _check_size(value: ir.Value, config: PlateConfig, model: Path) -> None:
    wanted = (3, config.height, config.width)
    found = [editing.dimension(value, axis) for axis in (1, 2, 3)]
    if editing.rank(value) != 4 or any(
        has is not None and has != want for has, want in zip(found, wanted, strict=True)
    ):
        raise DataError(
            f"input '{value.name}' does not take images of {list(wanted)}",
            where=str(model),
            hint=f"--plates names plates of another size than '{config.name}'",
        )
