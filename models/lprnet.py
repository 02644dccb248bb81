"""LPRNet in torch.

After S. Zherzdev and A. Gruzdev, "LPRNet: License Plate Recognition via Deep Neural Networks",
arXiv:1806.10447, in the layer order of the widely used ``Final_LPRNet_model.pth``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

PoolForm = Literal["3d", "slice"]

CONTEXT_LAYERS = (2, 6, 13, 22)
"""The backbone layers (each a ReLU) whose maps make up the global context."""

CONTEXT_CHANNELS = 64 + 128 + 256
"""The channels of the first three of them; the fourth has one for each class."""


class SmallBasicBlock(nn.Module):
    """The paper's small basic block: 1×1, 3×1, 1×3 and 1×1 Conv around a quarter of the width."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        quarter = channels_out // 4
        self.block = nn.Sequential(
            nn.Conv2d(channels_in, quarter, 1),
            nn.ReLU(),
            nn.Conv2d(quarter, quarter, (3, 1), padding=(1, 0)),
            nn.ReLU(),
            nn.Conv2d(quarter, quarter, (1, 3), padding=(0, 1)),
            nn.ReLU(),
            nn.Conv2d(quarter, channels_out, 1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [N, channels_in, H, W] to [N, channels_out, H, W]."""
        result: Tensor = self.block(maps)
        return result


class ChannelPool(nn.Module):
    """MaxPool3d of kernel (1, 3, 3) over [channels, H, W].

    The kernel's depth of 1 makes it a strided Slice of the channels and a MaxPool2d: the same
    values. In torch they take equally long; runtimes differ.
    """

    def __init__(self, channel_stride: int, stride: tuple[int, int], form: PoolForm) -> None:
        super().__init__()
        self.channel_stride = channel_stride
        self.stride = stride
        self.form = form

    def forward(self, maps: Tensor) -> Tensor:
        """float32 [N, C, H, W] to [N, ceil(C / channel_stride), H', W']."""
        if self.form == "3d":
            strides = (self.channel_stride, *self.stride)
            pooled: Tensor = functional.max_pool3d(maps.unsqueeze(1), (1, 3, 3), strides)
            return pooled.squeeze(1)
        return functional.max_pool2d(maps[:, :: self.channel_stride], 3, self.stride)


class LPRNet(nn.Module):
    """The recogniser: a plate's image to the logits of its characters over 18 time steps.

    Args:
        num_classes: Characters and the blank.
        dropout: Probability of the two dropouts while training.
        pool: How the three channel pools are computed; the values are the same.
        batch_mean: Whether the global context divides by ``mean(f²)`` over the whole batch, as
            the reference does, or over each sample. At batch 1 they are the same.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        dropout: float = 0.5,
        pool: PoolForm = "3d",
        batch_mean: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.batch_mean = batch_mean
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 64, 3),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            ChannelPool(1, (1, 1), pool),
            SmallBasicBlock(64, 128),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            ChannelPool(2, (1, 2), pool),
            SmallBasicBlock(64, 256),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            SmallBasicBlock(256, 256),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            ChannelPool(4, (1, 2), pool),
            nn.Dropout(dropout),
            nn.Conv2d(64, 256, (1, 4)),
            nn.BatchNorm2d(256),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(256, num_classes, (13, 1)),
            nn.BatchNorm2d(num_classes),
            nn.ReLU(),
        )
        self.container = nn.Sequential(nn.Conv2d(CONTEXT_CHANNELS + num_classes, num_classes, 1))

    def forward(self, image: Tensor) -> Tensor:
        """float32 [N, 3, 24, 94] to logits, float32 [N, num_classes, 18]."""
        kept = []
        maps = image
        for index, layer in enumerate(self.backbone):
            maps = layer(maps)
            if index in CONTEXT_LAYERS:
                kept.append(maps)
        context = torch.cat([self._normalised(part) for part in _to_one_size(kept)], dim=1)
        logits: Tensor = self.container(context)
        return logits.mean(dim=2)

    def _normalised(self, maps: Tensor) -> Tensor:
        squares = maps.pow(2)
        if self.batch_mean:
            return maps / squares.mean()
        return maps / squares.mean(dim=(1, 2, 3), keepdim=True)


def _to_one_size(maps: list[Tensor]) -> list[Tensor]:
    first, second, third, last = maps
    return [
        functional.avg_pool2d(first, 5, 5),
        functional.avg_pool2d(second, 5, 5),
        functional.avg_pool2d(third, (4, 10), (4, 2)),
        last,
    ]
