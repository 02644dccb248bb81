"""What the networks of pixels share: a width that channels are scaled by, and bilinear scaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

CHANNEL_MULTIPLE = 8


def scaled_channels(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8 that is no more than 10 % below.

    Sandler et al., "MobileNetV2", CVPR 2018, in the form of the published code.
    """
    wanted = channels * width
    rounded = max(
        CHANNEL_MULTIPLE,
        int(wanted + CHANNEL_MULTIPLE / 2) // CHANNEL_MULTIPLE * CHANNEL_MULTIPLE,
    )
    return rounded if rounded >= 0.9 * wanted else rounded + CHANNEL_MULTIPLE


def bilinear(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Scale float32 [N, C, H, W] to [N, C, *size]; ONNX calls the form half_pixel.

    By factors, which are constants of the graph: by sizes the exporter asks for the channels with
    Shape, and a network whose channels are asked for can't be pruned.
    """
    factors = [resize_factor(was, wanted) for was, wanted in zip(maps.shape[2:], size, strict=True)]
    return functional.interpolate(maps, scale_factor=factors, mode="bilinear", align_corners=False)


def resize_factor(was: int, wanted: int) -> float:
    """The scale of one axis for Resize: the least float32 that makes `wanted` of `was`.

    Runtimes round the product down; a factor a little too small would lose a row.
    """
    factor = np.float32(wanted / was)
    while float(factor) * was < wanted:
        factor = np.nextafter(factor, np.float32(np.inf))
    return float(factor)


class ConvNorm(nn.Sequential):
    """A Conv without bias and its normalisation.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        kernel: Odd; padding keeps the size at stride 1.
        stride: Of the Conv.
        groups: Of the Conv.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(
            nn.Conv2d(
                channels_in,
                channels_out,
                kernel,
                stride=stride,
                padding=kernel // 2,
                groups=groups,
                bias=False,
            ),
            nn.BatchNorm2d(channels_out),
        )
