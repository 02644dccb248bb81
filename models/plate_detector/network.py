"""The plate detector in torch: fully convolutional, anchor-free, one class.

The head predicts at each point of two grids (strides 8 and 16) a score and the distances to the
four sides of a box, after Z. Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection",
arXiv:1904.01355. Everything is Conv, BatchNormalization, ReLU, Add and one nearest Resize, so
that 8-bit runtimes take all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lprc.core.tasks import points as grids

STRIDES = (8, 16)
"""Pixels between the points of each grid that boxes are predicted at."""

SIZE_MULTIPLE = 32
"""Height and width of the input are multiples of this."""

MEAN, SCALE = 127.5, 0.0078125
"""The input is BGR, ``(value - MEAN) * SCALE`` of 0…255 values: what the plate reader takes too."""

_PRIOR_SCORE = 0.003
"""About the part of the points that belongs to plates."""

_PRIOR_DISTANCES = (3.0, 1.0, 3.0, 1.0)
"""Left, top, right, bottom in strides: an ordinary plate, so that training starts with overlap."""


_SIDES = (-1.0, -1.0, 1.0, 1.0)
"""Where left, top, right and bottom lie from a point."""


def _convolution(
    channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    return [
        # The bias is the normalisation's too, but without one torch's exporter writes six nodes.
        nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, groups=groups),
        nn.BatchNorm2d(channels_out),
    ]


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(*_convolution(channels_in, channels_out, 3, stride=2), nn.ReLU())


def _separable(
    channels_in: int, channels_out: int, kernel: int, *, stride: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        *_convolution(channels_in, channels_in, kernel, stride=stride, groups=channels_in),
        nn.ReLU(),
        *_convolution(channels_in, channels_out, 1),
        nn.ReLU(),
    )


class SeparableBlock(nn.Module):
    """A depthwise and a 1×1 Conv around which the input is added."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            *_convolution(channels, channels, kernel, groups=channels),
            nn.ReLU(),
            *_convolution(channels, channels, 1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [N, channels, H, W] to the same shape."""
        return functional.relu(maps + self.block(maps))


def _stage(down: nn.Module, channels: int, kernel: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(down, *(SeparableBlock(channels, kernel) for _ in range(blocks)))


class DetectorHead(nn.Module):
    """Scores and box distances of one grid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score_branch = _separable(channels, channels, 5)
        self.distance_branch = _separable(channels, channels, 5)
        self.score = nn.Conv2d(channels, 1, 1)
        self.distance = nn.Conv2d(channels, 4, 1)
        nn.init.normal_(self.distance.weight, std=0.01)
        nn.init.constant_(self.score.bias, -math.log(1 / _PRIOR_SCORE - 1))  # type: ignore[arg-type]
        with torch.no_grad():
            self.distance.bias.copy_(torch.tensor(_PRIOR_DISTANCES))  # type: ignore[union-attr]

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [N, channels, H, W] to logits [N, H·W] and distances [N, H·W, 4] in strides."""
        logits = self.score(self.score_branch(maps)).flatten(1)
        distances = self.distance(self.distance_branch(maps)).flatten(2).transpose(1, 2)
        return logits, distances


class PlateDetector(nn.Module):
    """The network up to score logits and distances.

    Args:
        width: Multiplies every width; 1 is the network that ships.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        stem, quarter, eighth, sixteenth, last, neck = (
            max(8, round(channels * width / 8) * 8) for channels in (16, 32, 64, 96, 128, 64)
        )
        self.stem = _down(3, stem)
        self.stage4 = _stage(_down(stem, quarter), quarter, 3, 1)
        self.stage8 = _stage(_down(quarter, eighth), eighth, 3, 2)
        self.stage16 = _stage(_down(eighth, sixteenth), sixteenth, 5, 3)
        self.stage32 = _stage(_separable(sixteenth, last, 5, stride=2), last, 5, 2)
        self.lateral8 = nn.Sequential(*_convolution(eighth, neck, 1))
        self.lateral16 = nn.Sequential(*_convolution(sixteenth, neck, 1))
        self.lateral32 = nn.Sequential(*_convolution(last, neck, 1))
        self.merge8 = nn.Sequential(SeparableBlock(neck, 5), SeparableBlock(neck, 5))
        self.merge16 = nn.Sequential(SeparableBlock(neck, 5), SeparableBlock(neck, 5))
        self.head8 = DetectorHead(neck)
        self.head16 = DetectorHead(neck)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [batch, 3, H, W] to logits [batch, points] and distances [batch, points, 4].

        H and W are multiples of 32. The points are those of `grid_points`. Distances are left,
        top, right and bottom, in strides.
        """
        at8 = self.stage8(self.stage4(self.stem(image)))
        at16 = self.stage16(at8)
        at32 = self.stage32(at16)
        merged16 = self.merge16(
            functional.relu(self.lateral16(at16) + _twice(self.lateral32(at32)))
        )
        merged8 = self.merge8(functional.relu(self.lateral8(at8) + _twice(merged16)))
        logits, distances = zip(self.head8(merged8), self.head16(merged16), strict=True)
        return torch.cat(logits, dim=1), torch.cat(distances, dim=1)


def _twice(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2.0, mode="nearest")


def grid_points(height: int, width: int, strides: Sequence[int] = STRIDES) -> tuple[Tensor, Tensor]:
    """Return the points of an image, float32 [points, 2] (x, y in pixels), and their strides.

    Returns:
        The points grid after grid, row after row; and float32 [points, 1].
    """
    points, steps = grids.grid_points((width, height), strides)
    return torch.from_numpy(points), torch.from_numpy(steps)


def boxes_at(points: Tensor, strides: Tensor, distances: Tensor) -> Tensor:
    """Return float32 [batch, points, 4]: left, top, right and bottom in pixels of the input."""
    lengths = distances * strides
    return torch.cat([points - lengths[..., :2], points + lengths[..., 2:]], dim=-1)


class DeployedDetector(nn.Module):
    """The detector as it is exported: scores and boxes of one input size."""

    anchors: Tensor
    steps: Tensor

    def __init__(self, network: PlateDetector, height: int, width: int) -> None:
        super().__init__()
        self.network = network
        points, strides = grid_points(height, width)
        self.register_buffer("anchors", points.repeat(1, 2), persistent=False)
        self.register_buffer("steps", strides * torch.tensor(_SIDES), persistent=False)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """float32 [batch, 3, height, width] to scores [batch, points] and boxes [batch, points, 4].

        Scores are 0 to 1; boxes as of `boxes_at`.
        """
        logits, distances = self.network(image)
        return logits.sigmoid(), self.anchors + distances * self.steps
