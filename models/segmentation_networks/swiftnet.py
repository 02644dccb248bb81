"""SwiftNet in torch.

After M. Oršić, I. Krešo, P. Bevandić and S. Šegvić, "In Defense of Pre-trained ImageNet
Architectures for Real-time Semantic Segmentation of Road-driving Images", CVPR 2019. The encoder is
the ResNet-18 of He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lprc.models.segmentation_networks.layers import bilinear, scaled_channels

_STAGES = (64, 128, 256, 512)
_BLOCKS = 2
_DECODER = 128
_SPATIAL_GRIDS = (8, 4, 2, 1)


class ResidualBlock(nn.Module):
    """Two 3×3 Convs and what goes past them; each level of the pyramid has its normalisations.

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
        stride: Of the first Conv.
        levels: Levels of the pyramid.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, levels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm1 = _norms(channels_out, levels)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = _norms(channels_out, levels)
        self.past: nn.Conv2d | None = None
        if stride != 1 or channels_in != channels_out:
            self.past = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.norm_past = _norms(channels_out, levels)

    def forward(self, maps: Tensor, level: int) -> Tensor:
        """float32 [N, channels_in, H, W] to [N, channels_out, H', W'], without the last ReLU."""
        inner = functional.relu(self.norm1[level](self.conv1(maps)))
        inner = self.norm2[level](self.conv2(inner))
        if self.past is not None:
            maps = self.norm_past[level](self.past(maps))
        total: Tensor = inner + maps
        return total


def _norms(channels: int, levels: int) -> nn.ModuleList:
    return nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(levels))


class ActivatedConv(nn.Sequential):
    """Normalisation, ReLU, then a Conv without bias."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__(
            nn.BatchNorm2d(channels_in),
            nn.ReLU(),
            nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
        )


class SpatialPyramid(nn.Module):
    """Means over grids of 8, 4, 2 and 1 rows beside the map itself (the paper's SPP).

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the output.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        part = scaled_channels(channels_out, 1 / len(_SPATIAL_GRIDS))
        self.before = ActivatedConv(channels_in, channels_out, 1)
        self.parts = nn.ModuleList(ActivatedConv(channels_out, part, 1) for _ in _SPATIAL_GRIDS)
        self.fuse = ActivatedConv(channels_out + part * len(_SPATIAL_GRIDS), channels_out, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [N, channels_in, H, W] to [N, channels_out, H, W]."""
        maps = self.before(maps)
        height, width = maps.shape[2:]
        collected = [maps]
        for rows, convolve in zip(_SPATIAL_GRIDS, self.parts, strict=True):
            grid = (min(height, rows), min(width, max(1, round(rows * width / height))))
            collected.append(bilinear(convolve(_means(maps, grid)), (height, width)))
        fused: Tensor = self.fuse(torch.cat(collected, dim=1))
        return fused


def _means(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """The means of a grid of windows; they overlap where the size is no multiple."""
    strides = [size // count for size, count in zip(maps.shape[2:], grid, strict=True)]
    kernel = [
        size - stride * (count - 1)
        for size, stride, count in zip(maps.shape[2:], strides, grid, strict=True)
    ]
    return functional.avg_pool2d(maps, kernel, strides)


class Upsampling(nn.Module):
    """The paper's upsampling module: scale bilinearly, add the lateral map, blend by a 3×3 Conv."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blend = ActivatedConv(channels, channels, 3)

    def forward(self, maps: Tensor, lateral: Tensor) -> Tensor:
        """Two maps float32 [N, channels, …]; the result has the second one's size."""
        blended: Tensor = self.blend(bilinear(maps, lateral.shape[2:]) + lateral)
        return blended


class SwiftNet(nn.Module):
    """An image to the scores of its pixels.

    With several levels the encoder sees the image in full size, in half, in a quarter …; weights
    are shared, normalisations are each level's own. Maps of the same size are added before the
    decoder takes them: "interleaved pyramidal fusion". With one level there is a spatial pyramid
    pool between encoder and decoder.

    Args:
        num_classes: Classes of pixels.
        width: Channels against the paper's, which has 64 to 512 in the encoder, 128 in the decoder.
        levels: Of the image's pyramid: 3 as in SwiftNetRN-18 pyr, or 1 as in SwiftNetRN-18.
    """

    def __init__(self, num_classes: int, *, width: float = 1.0, levels: int = 3) -> None:
        super().__init__()
        self.levels = levels
        stages = [scaled_channels(channels, width) for channels in _STAGES]
        inner = scaled_channels(_DECODER, width)
        self.stem = nn.Conv2d(3, stages[0], 7, stride=2, padding=3, bias=False)
        self.stem_norm = _norms(stages[0], levels)
        self.stages = nn.ModuleList(
            nn.ModuleList(
                ResidualBlock(
                    channels if index else stages[max(number - 1, 0)],
                    channels,
                    2 if number and not index else 1,
                    levels,
                )
                for index in range(_BLOCKS)
            )
            for number, channels in enumerate(stages)
        )
        laterals = stages if levels > 1 else stages[:-1]
        self.laterals = nn.ModuleList(ActivatedConv(channels, inner, 1) for channels in laterals)
        self.spatial_pyramid = SpatialPyramid(stages[-1], inner) if levels == 1 else None
        count = len(stages) + levels - 2
        self.upsamplings = nn.ModuleList(Upsampling(inner) for _ in range(count))
        self.classify = ActivatedConv(inner, num_classes, 1)
        _initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """float32 [N, 3, H, W] to float32 [N, num_classes, H, W]."""
        height, width = image.shape[2:]
        by_size: list[list[Tensor]] = [[] for _ in range(len(self.stages) + self.levels - 1)]
        for level in range(self.levels):
            smaller = image
            if level:
                smaller = bilinear(image, (-(-height // 2**level), -(-width // 2**level)))
            for stage, maps in enumerate(self._encode(smaller, level)):
                by_size[level + stage].append(maps)
        maps = _sum(by_size[-1])
        for upsampling, laterals in zip(self.upsamplings, by_size[-2::-1], strict=True):
            maps = upsampling(maps, _sum(laterals))
        return bilinear(self.classify(maps), (height, width))

    def _encode(self, image: Tensor, level: int) -> list[Tensor]:
        """The lateral maps, from a quarter of the image's size to a 32nd."""
        maps = functional.relu(self.stem_norm[level](self.stem(image)))
        maps = functional.max_pool2d(maps, 3, stride=2, padding=1)
        collected = []
        for number, stage in enumerate(self.stages):
            for block in stage:  # type: ignore[attr-defined]
                sums = block(maps, level)
                maps = functional.relu(sums)
            if number < len(self.laterals):
                collected.append(self.laterals[number](sums))
            elif self.spatial_pyramid is not None:
                collected.append(self.spatial_pyramid(sums))
        return collected


def _sum(maps: Sequence[Tensor]) -> Tensor:
    total = maps[0]
    for one in maps[1:]:
        total = total + one
    return total


def _initialise(network: nn.Module) -> None:
    """He et al., "Delving Deep into Rectifiers", ICCV 2015."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
