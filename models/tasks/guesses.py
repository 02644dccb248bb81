"""What a model's shapes say of its task file."""

from __future__ import annotations

from typing import Any

from lprc.core.errors import DataError
from lprc.core.tasks.interface import Interface


def guessed_input(
    interface: Interface, mean: tuple[float, ...], scale: tuple[float, ...]
) -> dict[str, Any]:
    """A table ``[input]``: the size is the model's, colours are red first.

    Args:
        interface: The model's.
        mean: Subtracted from 0…255.
        scale: Multiplied with.

    Raises:
        DataError: Its input has no fixed size, or is no image.
    """
    name = interface.image_input
    shape, layout = interface.inputs[name], interface.layout
    channels, height, width = shape[1:] if layout == "NCHW" else (shape[3], *shape[1:3])
    if height is None or width is None:
        raise DataError(
            f"input '{name}' has no fixed size",
            where=interface.where,
            hint="--input-shape fixes it; or write the size into the task file",
        )
    if channels not in (1, 3, None):
        raise DataError(
            f"input '{name}' has {channels} channels, and an image has 1 or 3",
            where=interface.where,
        )
    guess: dict[str, Any] = {
        "width": width,
        "height": height,
        "color": "GRAY" if channels == 1 else "RGB",
        "layout": layout,
    }
    if str(interface.dtypes[name]) != "uint8":
        grey = channels == 1
        guess["mean"] = mean[0] if grey else list(mean)
        guess["scale"] = scale[0] if grey else list(scale)
    return guess
