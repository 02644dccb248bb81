"""The parameters of a kernel's schedule; sizes are ints or random variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Order = Literal["rows", "rows-blocks", "blocks"]
PadAt = Literal["chunk", "whole"]


@dataclass(frozen=True)
class ConvolutionParameters:
    """Of the convolution template, float32 or integer.

    Attributes:
        columns: Columns of the register tile; divides the output's width.
        blocks: Blocks of 16 output channels in it; divides their number.
        rows: Output rows of a chunk, which one thread computes; divides their number.
        order: ``rows``: chunks of rows are parallel, and all output channels of a tile follow each
            other. ``rows-blocks``: within a chunk, one group of channels after the other.
            ``blocks``: output channels are parallel too; each thread keeps its weights in its
            cache, which pays where all of them would not fit.
        pad: Where the padded input is made: for each chunk, or before all of them.
        dot: The instruction of integer convolutions.
        parallel: Whether it is worth more than one thread.
    """

    columns: Any
    blocks: int
    rows: Any
    order: Order = "rows"
    pad: PadAt = "chunk"
    dot: Literal["vnni", "none"] = "none"
    parallel: bool = True


@dataclass(frozen=True)
class DepthwiseParameters:
    """Of the depthwise template: a register tile of `columns` blocks of 16 channels.

    Attributes:
        columns: Columns of the register tile; divides the output's width.
        rows: Output rows of a chunk; divides their number.
        unroll: Whether the kernel's taps are unrolled, so that columns share what they load.
        parallel: Whether it is worth more than one thread.
    """

    columns: Any
    rows: Any
    unroll: bool = True
    parallel: bool = True


@dataclass(frozen=True)
class PoolParameters:
    """Of pools and of sums over rows and columns.

    Attributes:
        lanes: Channels that are computed together; divides the channels of the output.
        unroll: Whether the window is unrolled.
        parallel: Whether it is worth more than one thread.
    """

    lanes: int = 16
    unroll: bool = True
    parallel: bool = True


@dataclass(frozen=True)
class ElementwiseParameters:
    """Of what is computed element by element.

    Attributes:
        lanes: Channels that are computed together; divides those of the output.
        parallel: Whether it is worth more than one thread.
    """

    lanes: int = 16
    parallel: bool = True


@dataclass(frozen=True)
class UnpackParameters:
    """Of what writes the ONNX layout.

    Attributes:
        channels: How many channels of a row are written one after the other, while the numbers that
            lie beside each other in lprc's layout are in the cache.
        parallel: Whether it is worth more than one thread.
    """

    channels: int = 16
    parallel: bool = True


@dataclass(frozen=True)
class TotalParameters:
    """Of sums over a whole image: nothing to choose."""
