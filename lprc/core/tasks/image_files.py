"""The pixels of image files."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from lprc.core.errors import DataError
from lprc.core.files.regular import open_regular

_ORIENTATION = 0x0112
"""EXIF's tag; from 5 on width and height change places."""

_PAPER = (255, 255, 255)
"""What shows through where an image is transparent."""


def read_image(path: Path, mode: str = "RGB") -> Image.Image:
    """The pixels of an image file, upright as its EXIF data says, transparency over white.

    Args:
        path: The file.
        mode: Pillow's name of what to convert to; empty for the file's own.

    Raises:
        DataError: Not an image that Pillow reads, empty, truncated, absurdly large, with more than
            8 bits a channel, or with several pictures in it.
    """
    with _reported(str(path)), open_regular(path) as stream:
        return _pixels(stream, mode)


def parse_image(data: bytes, where: str, mode: str = "RGB") -> Image.Image:
    """As `read_image`, from an image file's bytes.

    Args:
        data: The bytes.
        where: What to call them in errors.
        mode: As of `read_image`.
    """
    with _reported(where):
        return _pixels(io.BytesIO(data), mode)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file in pixels; its pixels are not read.

    Raises:
        DataError: Not an image that Pillow reads, or absurdly large.
    """
    with _reported(str(path)), open_regular(path) as stream, _opened(stream) as opened:
        width, height = opened.size
        lies_on_its_side = opened.getexif().get(_ORIENTATION, 1) in range(5, 9)
    return (height, width) if lies_on_its_side else (width, height)


def _pixels(stream: BinaryIO, mode: str) -> Image.Image:
    if not stream.read(1):
        raise ValueError("it is empty")
    stream.seek(0)
    with _opened(stream) as opened:
        if opened.mode[0] in "IF":  # convert() would cut their values off at 255
            raise ValueError(f"more than 8 bits a channel (mode {opened.mode})")
        pictures = getattr(opened, "n_frames", 1)
        # An MPO is a photograph with its preview, or with what a second lens saw.
        if pictures > 1 and opened.format != "MPO":
            raise ValueError(f"it holds {pictures} pictures; save each as a file, or as a video")
        upright = opened
        if opened.getexif().get(_ORIENTATION, 1) != 1:
            upright = ImageOps.exif_transpose(opened)
        if mode in ("RGB", "L") and upright.has_transparency_data:
            layer = upright.convert("RGBA")
            upright = Image.new("RGB", layer.size, _PAPER)
            upright.paste(layer, mask=layer)
        return upright.convert(mode or upright.mode)


@contextmanager
def _opened(stream: BinaryIO) -> Iterator[Image.Image]:
    with Image.open(stream) as opened:
        _refuse_absurd(opened.size)
        yield opened


@contextmanager
def _reported(where: str) -> Iterator[None]:
    """What is wrong with an image file, as a `DataError`."""
    try:
        yield
    except (
        MemoryError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,  # Pillow's answer to a broken PNG
        ValueError,
        struct.error,  # and to broken EXIF data
    ) as error:
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DataError(f"can't be read: {reason}", where=where) from error


def _refuse_absurd(size: tuple[int, int]) -> None:
    """Refuse a size that Pillow only warns of.

    Warnings could be turned to errors only for all threads or for none.
    """
    limit, pixels = Image.MAX_IMAGE_PIXELS, size[0] * size[1]
    if limit is not None and pixels > limit:
        raise ValueError(f"it has {pixels} pixels, and {limit} are the most")
