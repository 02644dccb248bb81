"""Plate images as a network's input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lprc.core.errors import DataError
from lprc.core.files.regular import open_regular
from lprc.models.plate_config import PlateConfig


def load_image(path: Path, config: PlateConfig) -> NDArray[np.float32]:
    """Read one plate as float32 [3, height, width], preprocessed.

    An image of another size is resized (bilinear, antialiased).

    Raises:
        DataError: Not an image that Pillow reads, truncated, absurdly large, or with more than
            8 bits a channel.
    """
    pixels = np.asarray(_read(path, config.width, config.height), dtype=np.float32)
    if config.channels == "BGR":
        pixels = pixels[:, :, ::-1]
    scaled = (pixels - config.mean) * config.scale
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32)


def load_batch(paths: Sequence[Path], config: PlateConfig) -> NDArray[np.float32]:
    """Read plates as float32 [N, 3, height, width]; errors as of `load_image`."""
    return np.stack([load_image(path, config) for path in paths])


def _read(path: Path, width: int, height: int) -> Image.Image:
    try:
        with open_regular(path) as stream, Image.open(stream) as opened:
            _refuse_absurd(opened.size)
            if opened.mode[0] in "IF":  # convert() would cut their values off at 255
                raise ValueError(f"more than 8 bits a channel (mode {opened.mode})")
            image: Image.Image = opened.convert("RGB")
    except (
        MemoryError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,  # Pillow's answer to a broken PNG
        ValueError,
    ) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(f"can't be read: {reason}", where=str(path)) from error
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return image


def _refuse_absurd(size: tuple[int, int]) -> None:
    """Refuse a size that Pillow only warns of.

    Warnings could be turned to errors only for all threads or for none.
    """
    limit, pixels = Image.MAX_IMAGE_PIXELS, size[0] * size[1]
    if limit is not None and pixels > limit:
        raise ValueError(f"it has {pixels} pixels, and {limit} are the most")
