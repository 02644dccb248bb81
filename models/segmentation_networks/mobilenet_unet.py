"""A U-Net over MobileNetV2 in torch.

The encoder is that of M. Sandler, A. Howard, M. Zhu, A. Zhmoginov and L.-C. Chen, "MobileNetV2:
Inverted Residuals and Linear Bottlenecks", CVPR 2018; the decoder that of O. Ronneberger,
P. Fischer and T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
MICCAI 2015, with bilinear scaling in place of transposed Convs, and padding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lprc.models.segmentation_networks.layers import ConvNorm, bilinear, scaled_channels

_STEM = 32
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks and stride, as in the paper's table 2."""

_DECODER = (96, 64, 32, 24)
"""Channels at a 16th, an 8th, a quarter and a half of the image's size."""


class InvertedResidual(nn.Module):
    """Widen by a 1×1 Conv, filter by channel, narrow by a 1×1 Conv without activation.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        expansion: How many times wider it is between.
        stride: Of the depthwise Conv.
    """

    def __init__(self, channels_in: int, channels_out: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        widen = [] if expansion == 1 else [ConvNorm(channels_in, inner, 1), nn.ReLU6()]
        self.block = nn.Sequential(
            *widen,
            ConvNorm(inner, inner, 3, stride=stride, groups=inner),
            nn.ReLU6(),
            ConvNorm(inner, channels_out, 1),
        )
        self.adds = stride == 1 and channels_in == channels_out

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [N, channels_in, H, W] to [N, channels_out, H', W']."""
        result: Tensor = self.block(maps)
        return maps + result if self.adds else result


class Expanding(nn.Module):
    """A step of the U-Net's expanding path: scale, put the encoder's maps beside, two Convs."""

    def __init__(self, channels_in: int, channels_beside: int, channels_out: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            ConvNorm(channels_in + channels_beside, channels_out, 3),
            nn.ReLU(),
            ConvNorm(channels_out, channels_out, 3),
            nn.ReLU(),
        )

    def forward(self, maps: Tensor, beside: Tensor) -> Tensor:
        """Two maps; the result has the second one's size."""
        both = torch.cat([bilinear(maps, beside.shape[2:]), beside], dim=1)
        result: Tensor = self.block(both)
        return result


class MobileNetUNet(nn.Module):
    """An image to the scores of its pixels.

    Args:
        num_classes: Classes of pixels.
        width: Channels against MobileNetV2's, in the decoder too.
    """

    def __init__(self, num_classes: int, *, width: float = 1.0) -> None:
        super().__init__()
        channels = scaled_channels(_STEM, width)
        self.stem = nn.Sequential(ConvNorm(3, channels, 3, stride=2), nn.ReLU6())
        self.stages = nn.ModuleList()
        beside: list[int] = []
        for expansion, wanted, blocks, stride in _STAGES:
            if stride == 2:
                beside.append(channels)
            stage = nn.Sequential()
            for index in range(blocks):
                narrow = scaled_channels(wanted, width)
                first = stride if not index else 1
                stage.append(InvertedResidual(channels, narrow, expansion, first))
                channels = narrow
            self.stages.append(stage)
        self.expanding = nn.ModuleList()
        for wanted, skipped in zip(_DECODER, reversed(beside), strict=True):
            narrow = scaled_channels(wanted, width)
            self.expanding.append(Expanding(channels, skipped, narrow))
            channels = narrow
        self.classify = nn.Conv2d(channels, num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """float32 [N, 3, H, W] to float32 [N, num_classes, H, W]."""
        maps = self.stem(image)
        beside = []
        for (_, _, _, stride), stage in zip(_STAGES, self.stages, strict=True):
            if stride == 2:
                beside.append(maps)
            maps = stage(maps)
        for expanding, skipped in zip(self.expanding, reversed(beside), strict=True):
            maps = expanding(maps, skipped)
        return bilinear(self.classify(maps), image.shape[2:])
