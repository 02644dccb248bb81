"""Networks that quantise unlike a ResNet: signed activations, dilation, attention, two heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - as all of torch's own documentation
from torch import nn

CLASSES = 8
"""Kinds of a shape."""

THINGS = 4
"""Classes of a pixel among drawn shapes: the background and three kinds."""

ROAD = 11
"""Classes of a pixel in CamVid."""

Activation = Callable[[], nn.Module]


def convolution(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    activation: Activation | None = nn.ReLU,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Conv, BatchNorm, activation; padded so that a stride of 1 keeps the size."""
    padding = dilation * (kernel // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(
            inputs, outputs, kernel, stride, padding, dilation=dilation, groups=groups, bias=False
        ),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([] if activation is None else [activation()]))


class EfficientSpatialPyramid(nn.Module):
    """ESPNet's module: a 1×1 Conv, dilated 3×3 Convs beside each other, summed up and joined."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        part = outputs // 4
        self.reduce = nn.Conv2d(inputs, part, 3 if stride > 1 else 1, stride, stride // 2)
        self.branches = nn.ModuleList(
            nn.Conv2d(part, part, 3, padding=rate, dilation=rate, bias=False)
            for rate in (1, 2, 4, 8)
        )
        self.norm, self.slope = nn.BatchNorm2d(outputs), nn.PReLU(outputs)
        self.add = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float32 [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        reduced = self.reduce(x)
        parts = [branch(reduced) for branch in self.branches]
        sums = [parts[0], parts[1]]
        for part in parts[2:]:
            sums.append(sums[-1] + part)
        joined = torch.cat(sums, 1)
        return self.slope(self.norm(joined + x if self.add else joined))


class ESPNet(nn.Module):
    """PReLU, dilated and transposed Convs, as ESPNet; a class for each pixel of a street."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 16, 3, 2, activation=lambda: nn.PReLU(16))
        self.down = EfficientSpatialPyramid(19, 48, 2)
        self.middle = nn.Sequential(*(EfficientSpatialPyramid(48, 48) for _ in range(2)))
        self.deeper = EfficientSpatialPyramid(96, 96, 2)
        self.deepest = nn.Sequential(*(EfficientSpatialPyramid(96, 96) for _ in range(3)))
        self.up1, self.side = nn.ConvTranspose2d(96, ROAD, 2, 2), nn.Conv2d(96, ROAD, 1)
        self.join = convolution(2 * ROAD, ROAD, activation=lambda: nn.PReLU(ROAD))
        self.up2, self.up3 = (nn.ConvTranspose2d(ROAD, ROAD, 2, 2) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images float32 [N, 3, 120, 160] to logits [N, 11, 120, 160]."""
        half = torch.cat([self.stem(x), F.avg_pool2d(x, 3, 2, 1)], 1)
        quarter = self.down(half)
        quarter = torch.cat([quarter, self.middle(quarter)], 1)
        eighth = self.deepest(self.deeper(quarter))
        up = torch.cat([self.up1(eighth), self.side(quarter)], 1)
        return self.up3(self.up2(self.join(up)))


class SqueezeExcite(nn.Module):
    """A factor for each channel, from the channels' means."""

    def __init__(self, channels: int, gate: Activation) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 8, 1), nn.Conv2d(8, channels, 1)
        self.gate = gate()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float32 [N, channels, H, W] to the same."""
        return x * self.gate(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class InvertedExcited(nn.Module):
    """Expand, depthwise, squeeze and excite, project, and an Add where the shapes are the same."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, activation: Activation, gate: Activation
    ) -> None:
        super().__init__()
        middle = 4 * inputs
        self.layers = nn.Sequential(
            convolution(inputs, middle, 1, activation=activation),
            convolution(middle, middle, 5, stride, activation=activation, groups=middle),
            SqueezeExcite(middle, gate),
            convolution(middle, outputs, 1, activation=None),
        )
        self.add = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float32 [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        return x + self.layers(x) if self.add else self.layers(x)


class _Excited(nn.Module):
    """Squeeze and excite behind depthwise Convs."""

    def __init__(self, activation: Activation, gate: Activation) -> None:
        super().__init__()
        sizes = [(16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 32, 2), (32, 32, 1)]
        self.features = nn.Sequential(
            convolution(3, 16, 3, 2, activation=activation),
            *(InvertedExcited(*size, activation, gate) for size in sizes),
            convolution(32, 128, 1, activation=activation),
        )
        self.head = nn.Linear(128, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images float32 [N, 3, 64, 64] to logits [N, 8]."""
        return self.head(self.features(x).mean((2, 3)))


class MobileNetV3(_Excited):
    """HardSwish and HardSigmoid."""

    def __init__(self) -> None:
        super().__init__(nn.Hardswish, nn.Hardsigmoid)


class EfficientNet(_Excited):
    """Swish and Sigmoid."""

    def __init__(self) -> None:
        super().__init__(nn.SiLU, nn.Sigmoid)


class DeepResNet(nn.Module):
    """Fourteen residual blocks of few channels, as ResNet-56 for CIFAR has 27."""

    def __init__(self) -> None:
        super().__init__()
        widths = [16] * 5 + [32] * 5 + [48] * 4
        self.stem = convolution(3, 16, 3, 2)
        self.first, self.second, self.sides = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        inputs = 16
        for width in widths:
            stride = 1 if width == inputs else 2
            self.first.append(convolution(inputs, width, 3, stride))
            self.second.append(convolution(width, width, activation=None))
            side = convolution(inputs, width, 1, stride, activation=None)
            self.sides.append(nn.Identity() if stride == 1 else side)
            inputs = width
        self.head = nn.Linear(inputs, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images float32 [N, 3, 64, 64] to logits [N, 8]."""
        x = self.stem(x)
        for first, second, side in zip(self.first, self.second, self.sides, strict=True):
            x = F.relu(second(first(x)) + side(x))
        return self.head(x.mean((2, 3)))


class UltraFace(nn.Module):
    """A detector's two heads on three scales, depthwise Convs between, as UltraFace's RFB."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            convolution(3, 16, 3, 2), self._separable(16, 32, 2), self._separable(32, 32)
        )
        self.paths = nn.ModuleList(
            nn.Sequential(
                convolution(32, 8, 1, activation=None),
                convolution(8, 12),
                convolution(12, 16, activation=None, dilation=rate),
            )
            for rate in (2, 3, 5)
        )
        self.join = convolution(48, 32, 1, activation=None)
        self.downs = nn.ModuleList([self._separable(32, 48, 2), self._separable(48, 64, 2)])
        self.scores = nn.ModuleList(self._head(width, THINGS) for width in (32, 48, 64))
        self.boxes = nn.ModuleList(self._head(width, 4) for width in (32, 48, 64))

    @staticmethod
    def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
        depthwise = convolution(inputs, inputs, 3, stride, groups=inputs)
        return nn.Sequential(depthwise, convolution(inputs, outputs, 1))

    @staticmethod
    def _head(inputs: int, outputs: int) -> nn.Sequential:
        depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs)
        return nn.Sequential(depthwise, nn.ReLU(), nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float32 [N, 3, 64, 64] to logits [N, 4, 336] and offsets [N, 4, 336] of cells."""
        x = self.stem(x)
        x = F.relu(self.join(torch.cat([path(x) for path in self.paths], 1)) + x)
        levels = [x]
        for down in self.downs:
            levels.append(down(levels[-1]))
        scores = [head(x).flatten(2) for head, x in zip(self.scores, levels, strict=True)]
        boxes = [head(x).flatten(2) for head, x in zip(self.boxes, levels, strict=True)]
        return torch.cat(scores, 2), torch.cat(boxes, 2)


class Attention(nn.Module):
    """Multi-head attention and a GELU network behind it, each behind a LayerNorm, as in a ViT."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float32 [N, tokens, width] to the same."""
        batch, tokens, width = x.shape
        parts = self.qkv(self.before(x)).reshape(batch, tokens, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(-2, -1) * (width / self.heads) ** -0.5).softmax(-1)
        x = x + self.out((weights @ value).transpose(1, 2).reshape(batch, tokens, width))
        return x + self.perceptron(self.between(x))


class ViT(nn.Module):
    """Patches of 8×8, four layers of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 64, 8, 8)
        self.position = nn.Parameter(0.02 * torch.randn(1, 64, 64))
        self.layers = nn.Sequential(*(Attention(64, 4) for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images float32 [N, 3, 64, 64] to logits [N, 8]."""
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.layers(tokens)).mean(1))
