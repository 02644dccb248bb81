"""Preprocessing of images inside the graph: bytes in, in whatever order and layout they come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from lprc.core.errors import UsageError
from lprc.core.graph import editing
from lprc.core.options import option
from lprc.core.passing.contract import exact
from lprc.core.passing.pass_base import Pass, PassContext
from lprc.passes._images.embedding import Embedding, embed
from lprc.passes._images.image_translation import ImageTranslation
from lprc.passes._images.network_input import chosen_input
from lprc.passes._images.pixels import Color, Layout, Pixels
from lprc.passes._images.resizing import How, Interpolation, Resizing

_FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE)
_TAKEN = {"uint8": ir.DataType.UINT8, "float32": ir.DataType.FLOAT}


@dataclass(frozen=True)
class EmbedPreprocessing(Pass):
    """Let the graph take pictures of bytes, and compute (byte - mean) * scale by itself.

    Scale, mean and colour order become part of the Convs that read the input where that is exact:
    the mean where they do not pad, the colour order where they have no groups. What is left is one
    Cast, and as few operators as there can be. Behind it ``calibrate`` and ``insert-qdq`` know that
    the values are bytes, and quantise without any error, without the Cast where the type fits.

    The input keeps its name. Samples and inputs of the graph in front of the pass, preprocessed as
    the options say, become pictures again for what comes behind it.
    """

    name = "embed-preprocessing"
    contract = exact
    changes_interface = True
    input: str | None = option(None, "the input that takes images; the only one needs no name")
    color: Color = option("RGB", "the order of channels that the network was trained on")
    source: Color = option("RGB", "the order of channels of the pictures that come in")
    layout: Layout = option("NHWC", "the layout of the pictures that come in")
    network: Layout = option("NCHW", "the layout of the network's own input")
    mean: tuple[float, ...] = option(
        (0.0,), "subtracted from the bytes; one number, or one a channel in the network's order"
    )
    scale: tuple[float, ...] = option(
        (1.0,), "multiplied with afterwards; one number, or one a channel in the network's order"
    )
    center: bool = option(
        False, "keep 128 subtracted in front of the network, for targets that quantise to int8 only"
    )
    height: int | Literal["dynamic"] | None = option(
        None, "of the pictures: a number, `dynamic` for any, none for the network's own"
    )
    width: int | Literal["dynamic"] | None = option(None, "likewise")
    resize: How = option("stretch", "how pictures of another size get the network's")
    interpolation: Interpolation = option("linear", "between pixels; without antialiasing")
    fill: float = option(114.0, "letterbox: the byte of the border")
    dtype: Literal["uint8", "float32"] = option(
        "uint8", "the type of the pictures' elements, which are 0 to 255 in either"
    )

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: One is not finite, a scale is zero, there are none, or a size is no size.
        """
        for name, values in (("mean", self.mean), ("scale", self.scale)):
            if not values or not all(map(math.isfinite, values)):
                raise ValueError(f"{name} must be one finite number, or one a channel")
        if 0.0 in self.scale:
            raise ValueError("scale must not be zero")
        sizes = (self.height, self.width)
        if (None in sizes or "dynamic" in sizes) and self.height != self.width:
            raise ValueError("height and width: two numbers, or both dynamic, or neither")
        if any(isinstance(size, int) and size < 1 for size in sizes):
            raise ValueError("height and width must be at least 1")
        if not 0 <= self.fill <= 255:
            raise ValueError(f"fill must be 0 to 255, not {self.fill:g}")

    def translation(self, model: ir.Model) -> ImageTranslation | None:
        """How the network's input becomes pictures.

        Raises:
            UsageError: As of `run`.
        """
        value = self._input(model)
        if self._why_not(value) is not None:
            return None
        assert value.dtype is not None
        self._check(value)
        return ImageTranslation(
            str(value.name), self._pixels(value), _TAKEN[self.dtype].numpy(), value.dtype.numpy()
        )

    def run(self, model: ir.Model, context: PassContext) -> None:
        """Put the preprocessing in front of the network, or inside its first Convs.

        Raises:
            UsageError: There is no such input, it does not take images, or it has other channels
                than the options say.
        """
        value = self._input(model)
        problem = self._why_not(value)
        if problem is not None:
            context.skip(None, problem)
            return
        self._check(value)
        if self.height is not None and editing.opset_version(model) < 13:
            raise _refused(
                f"operator set {editing.opset_version(model)} can't resize so; 13 and later can",
                "put convert-opset in front of it",
            )
        center = 128.0 if self.center else 0.0
        note = f"takes {self.dtype} {self.layout} pictures"
        wanted = Embedding(self._pixels(value), _TAKEN[self.dtype], center, note)
        embed(model.graph, value, wanted, context)

    def _input(self, model: ir.Model) -> ir.Value:
        return chosen_input(model, self.input, "embed-preprocessing{input}")

    def _pixels(self, value: ir.Value) -> Pixels:
        reverse = self.color != self.source
        resizing = None if self.height is None else self._resizing(value)
        return Pixels(self.mean, self.scale, reverse, self.layout, self.network, resizing)

    def _resizing(self, value: ir.Value) -> Resizing:
        places = (2, 3) if self.network == "NCHW" else (1, 2)
        height, width = (editing.dimension(value, axis) for axis in places)
        if height is None or width is None:
            raise _refused(
                f"the height and width of input '{value.name}' are open",
                "fix the network's size with --input-shape, or set-input-shape in front",
            )
        both = isinstance(self.height, int) and isinstance(self.width, int)
        pictures = (int(self.height or 0), int(self.width or 0)) if both else None
        return Resizing((height, width), pictures, self.resize, self.interpolation, self.fill)

    @staticmethod
    def _why_not(value: ir.Value) -> str | None:
        if value.dtype is not None and value.dtype not in _FLOATS:
            return "the input is no float"
        if value.is_graph_output():
            return "the input is an output too"
        return None if value.uses() else "nothing reads the input"

    def _check(self, value: ir.Value) -> None:
        """Refuse an input that does not take such images."""
        axis = 1 if self.network == "NCHW" else 3
        if editing.rank(value) != 4 or value.dtype is None:
            raise _refused(
                f"input '{value.name}' has {editing.rank(value)} dimensions, and images have 4",
                "name the input that takes images: embed-preprocessing{input=NAME}",
            )
        channels = editing.dimension(value, axis)
        wanted = {len(self.mean), len(self.scale)} - {1}
        if self.color != self.source:
            wanted.add(3)
        if wanted and wanted != {channels}:
            told = " and ".join(map(str, sorted(wanted)))
            raise _refused(
                f"input '{value.name}' has {channels or 'an unknown number of'} channels on axis "
                f"{axis}, and the options are for {told}",
                "network=NHWC says that channels are last; set-input-shape fixes open sizes",
            )


def _refused(message: str, hint: str) -> UsageError:
    return UsageError(message, where="pass 'embed-preprocessing'", hint=hint)
