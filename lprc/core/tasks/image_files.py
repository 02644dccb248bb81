"""The pixels of image files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from lprc.core.errors import DataError
from lprc.core.files.regular import open_regular


def read_image(path: Path, mode: str = "RGB") -> Image.Image:
    """The pixels of an image file.

    Args:
        path: The file.
        mode: Pillow's name of what to convert to; empty for the file's own.

    Raises:
        DataError: Not an image that Pillow reads, truncated, absurdly large, or with more than
            8 bits a channel.
    """
    with _opened(path) as opened:
        if opened.mode[0] in "IF":  # convert() would cut their values off at 255
            raise ValueError(f"more than 8 bits a channel (mode {opened.mode})")
        image: Image.Image = opened.convert(mode or opened.mode)
    return image


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file in pixels; its pixels are not read.

    Raises:
        DataError: Not an image that Pillow reads, or absurdly large.
    """
    with _opened(path) as opened:
        size: tuple[int, int] = opened.size
    return size


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image file, open; what is wrong with it as a `DataError`."""
    try:
        with open_regular(path) as stream, Image.open(stream) as opened:
            _refuse_absurd(opened.size)
            yield opened
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


def _refuse_absurd(size: tuple[int, int]) -> None:
    """Refuse a size that Pillow only warns of.

    Warnings could be turned to errors only for all threads or for none.
    """
    limit, pixels = Image.MAX_IMAGE_PIXELS, size[0] * size[1]
    if limit is not None and pixels > limit:
        raise ValueError(f"it has {pixels} pixels, and {limit} are the most")
