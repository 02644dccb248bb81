"""How an image becomes a network's input: the table ``[input]`` of a task file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import AfterValidator, BeforeValidator, Field, field_serializer

from lprc.core.files.checked import StrictTable
from lprc.core.tasks.image_files import read_image
from lprc.core.tasks.placement import Placement, Resize

Color = Literal["BGR", "RGB", "GRAY"]
ColorOrder = Literal["BGR", "RGB"]
Layout = Literal["NCHW", "NHWC"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

IMAGENET_MEAN = (123.675, 116.28, 103.53)
"""Of red, green and blue in 0…255."""
IMAGENET_SCALE = (1 / 58.395, 1 / 57.12, 1 / 57.375)


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else (value,)


def _not_zero(scale: tuple[float, ...]) -> tuple[float, ...]:
    if 0 in scale:
        raise ValueError("must not be 0: every image would be the same")
    return scale


Pixels = Annotated[int, Field(ge=1, le=10_000)]
Number = Annotated[float, Field(gt=-1e9, lt=1e9)]
_Written: TypeAlias = Number | Annotated[list[Number], Field(min_length=1, max_length=3)]
PerChannel = Annotated[
    tuple[Number, ...],
    Field(strict=False, min_length=1, max_length=3),
    BeforeValidator(_tuple, json_schema_input_type=_Written),
]


class ImageInput(StrictTable):
    """An image file as an array: resized, in the order of colours, then ``(x - mean) * scale``.

    Values run from 0 to 255 before that. ``mean`` and ``scale`` are one number, or one for each
    channel in the order of `color`. With ``dtype = "uint8"`` the array holds the pixels as they
    are: what `mean` and `scale` say is then in the graph.
    """

    width: Pixels
    height: Pixels
    resize: Resize = "stretch"
    interpolation: Interpolation = "bilinear"
    color: Color
    layout: Layout = "NCHW"
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    mean: PerChannel = (0.0,)
    scale: Annotated[PerChannel, AfterValidator(_not_zero)] = (1.0,)
    border: Annotated[int, Field(ge=0, le=255)] = 114

    @field_serializer("mean", "scale", when_used="json")
    def _as_written(self, values: tuple[float, ...]) -> float | list[float]:
        return values[0] if len(values) == 1 else list(values)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.color == "GRAY" else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image's array."""
        if self.layout == "NHWC":
            return self.height, self.width, self.channels
        return self.channels, self.height, self.width

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest value that an array can have."""
        if self.dtype == "uint8":
            return 0.0, 255.0
        pairs = np.broadcast(np.asarray(self.mean), np.asarray(self.scale))
        ends = [(value - mean) * scale for mean, scale in pairs for value in (0.0, 255.0)]
        return float(min(ends)), float(max(ends))

    def placement(self, image: tuple[int, int]) -> Placement:
        """Where an image of that width and height comes to lie."""
        return Placement.of(image, self.size, self.resize)

    def read(self, path: Path) -> tuple[NDArray[Any], Placement]:
        """An image file as an array of `shape` and `dtype`, and where the image lies in it.

        Raises:
            DataError: It can't be read.
        """
        image = read_image(path, "L" if self.color == "GRAY" else "RGB")
        return self.array(image), self.placement(image.size)

    def array(self, image: Image.Image) -> NDArray[Any]:
        """An image (RGB, or grey for `GRAY`) as an array of `shape` and `dtype`."""
        return self.normalized(np.asarray(self.fitted(image)))

    def fitted(self, image: Image.Image) -> Image.Image:
        """The image in the input's size."""
        place = self.placement(image.size)
        if place.plain:
            return image
        scaled = image
        if image.size != place.scaled:
            scaled = image.resize(place.scaled, _RESAMPLING[self.interpolation])
        if place.scaled == place.input:
            return scaled
        border = self.border if self.color == "GRAY" else (self.border,) * 3
        canvas = Image.new(image.mode, self.size, border)
        canvas.paste(scaled, (place.left, place.top))
        return canvas

    def normalized(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Pixels [height, width, channels] or, grey, [height, width], as the network takes them.

        Args:
            pixels: uint8, red first.
        """
        values = pixels[:, :, None] if pixels.ndim == 2 else pixels
        if self.color == "BGR":
            values = values[:, :, ::-1]
        if self.dtype != "uint8":
            wide = values.astype(np.float32)
            values = (wide - _numbers(self.mean)) * _numbers(self.scale)
        if self.layout == "NCHW":
            values = values.transpose(2, 0, 1)
        return np.ascontiguousarray(values, dtype=self.dtype)

    def changed(self, **changes: Any) -> ImageInput:
        """The same with some values changed."""
        return self.model_copy(update=changes)

    def alternatives(self) -> Iterator[tuple[str, ImageInput]]:
        """What people mistake for one another, with words for each: colours, then ranges."""
        if self.color != "GRAY":
            other: Color = "RGB" if self.color == "BGR" else "BGR"
            yield f'color = "{other}"', self.changed(color=other)
        if self.dtype == "uint8":
            return
        ranges: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
            "mean = 0, scale = 1 (values from 0 to 255)": ((0.0,), (1.0,)),
            "mean = 0, scale = 1/255 (values from 0 to 1)": ((0.0,), (1 / 255,)),
            "mean = 127.5, scale = 1/127.5 (values from -1 to 1)": ((127.5,), (1 / 127.5,)),
        }
        if self.color != "GRAY":
            turn = -1 if self.color == "BGR" else 1
            ranges["ImageNet's mean and standard deviation"] = (
                IMAGENET_MEAN[::turn],
                IMAGENET_SCALE[::turn],
            )
        for words, (mean, scale) in ranges.items():
            yield words, self.changed(mean=mean, scale=scale)


def _numbers(values: tuple[float, ...]) -> NDArray[np.float64] | float:
    """One number stays one: its arithmetic is float32's, as it was before there were several."""
    return values[0] if len(values) == 1 else np.asarray(values, np.float64).astype(np.float32)
