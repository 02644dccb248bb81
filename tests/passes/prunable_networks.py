"""Small networks of the families that channel pruning must cope with, built in torch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class PaddedBlock(nn.Module):
    """A CIFAR ResNet's block: the shortcut is subsampled and padded with zero channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv_bn(inputs, outputs, 3, stride), conv_bn(outputs, outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(functional.relu(self.first(x)))
        if self.more:
            half = self.more // 2
            x = functional.pad(
                x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.more - half)
            )
        return functional.relu(x + y)


def cifar_resnet() -> nn.Module:
    blocks = [PaddedBlock(16, 16, 1), PaddedBlock(16, 32, 2), PaddedBlock(32, 64, 2)]
    return nn.Sequential(
        conv_bn(3, 16), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
    )


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(inputs, width, 1), nn.ReLU(), conv_bn(width, width, 3, stride), nn.ReLU(),
            conv_bn(width, 4 * width, 1),
        )  # fmt: skip
        same = stride == 1 and inputs == 4 * width
        self.shortcut = nn.Identity() if same else conv_bn(inputs, 4 * width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for index in range(count):
            layers.append(Bottleneck(channels, width, stride if index == 0 else 1))
            channels = 4 * width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 10)]
    return nn.Sequential(*layers, *head)


class Inverted(nn.Module):
    """MobileNetV2's inverted residual."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.body = nn.Sequential(
            conv_bn(inputs, hidden, 1), nn.ReLU6(), conv_bn(hidden, hidden, 3, stride, hidden),
            nn.ReLU6(), conv_bn(hidden, outputs, 1),
        )  # fmt: skip
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet_v2() -> nn.Module:
    shapes = [(16, 24, 2), (24, 24, 1), (24, 32, 2), (32, 32, 1), (32, 32, 1)]
    blocks = [Inverted(a, b, stride, 4) for a, b, stride in shapes]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(64, 10)]
    return nn.Sequential(conv_bn(3, 16, 3, 2), nn.ReLU6(), *blocks, conv_bn(32, 64, 1), *head)


class UNet(nn.Module):
    """ConvTranspose on the way up, and Concat with what was there on the way down."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([self._double(3, 16), self._double(16, 32), self._double(32, 64)])
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 3, 2, 1, 1, groups=4)]
        )
        self.merge = nn.ModuleList([self._double(64, 32), self._double(32, 16)])
        self.last = nn.Conv2d(16, 2, 1)

    @staticmethod
    def _double(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(
            conv_bn(inputs, outputs), nn.PReLU(outputs), conv_bn(outputs, outputs), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for index, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if index else x)
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, skips[-2::-1], strict=True):
            x = merge(torch.cat([skip, up(x)], 1))
        return self.last(x)


class Shuffled(nn.Module):
    """ShuffleNet's unit: grouped 1x1 Convs with a shuffle of channels in between."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.first = conv_bn(channels, channels, 1, groups=groups)
        self.middle = conv_bn(channels, channels, 3, groups=channels)
        self.last = conv_bn(channels, channels, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first(x))
        batch, channels, height, width = y.shape
        y = y.reshape(batch, self.groups, channels // self.groups, height, width)
        y = y.transpose(1, 2).reshape(batch, channels, height, width)
        return functional.relu(x + self.last(self.middle(y)))


class Halves(nn.Module):
    """ShuffleNetV2's unit: one half goes through, then the halves are interleaved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.body = nn.Sequential(
            conv_bn(half, half, 1), nn.ReLU(), conv_bn(half, half, 3, groups=half),
            conv_bn(half, half, 1), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        y = torch.cat([first, self.body(second)], 1)
        batch, channels, height, width = y.shape
        y = y.reshape(batch, 2, channels // 2, height, width)
        return y.transpose(1, 2).reshape(batch, channels, height, width)


def shufflenet() -> nn.Module:
    units = [Shuffled(48, 3), Shuffled(48, 4), Halves(48)]
    return nn.Sequential(
        conv_bn(3, 48, 3, 2), nn.ReLU(), *units, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(48, 10),
    )  # fmt: skip


class Excited(nn.Module):
    """A residual block with squeeze and excitation, once by Linear and once by 1x1 Conv."""

    def __init__(self, channels: int, *, linear: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(channels, channels), nn.Hardswish())
        layer = nn.Linear if linear else (lambda a, b: nn.Conv2d(a, b, 1))
        self.gate = nn.Sequential(
            layer(channels, channels // 4), nn.ReLU(), layer(channels // 4, channels), nn.Sigmoid()
        )
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.linear:
            gate = self.gate(y.mean((2, 3))).view(y.shape[0], y.shape[1], 1, 1)
        else:
            gate = self.gate(functional.adaptive_avg_pool2d(y, 1))
        return x + y * gate


def squeeze_excite() -> nn.Module:
    blocks = [Excited(32, linear=True), Excited(32, linear=False)]
    return nn.Sequential(
        conv_bn(3, 32, 3, 2), nn.SiLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(32, 10),
    )  # fmt: skip


class Yolo(nn.Module):
    """A focus layer, cross-stage blocks, an SPP, nearest upsampling and two detection heads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = self._unit(12, 24)
        self.down = nn.ModuleList([self._unit(24, 32, 3, 2), self._unit(32, 48, 3, 2)])
        self.split = nn.ModuleList([self._unit(32, 32, 1), self._unit(48, 48, 1)])
        self.inner = nn.ModuleList([self._unit(16, 16), self._unit(24, 24)])
        self.join = nn.ModuleList([self._unit(48, 32, 1), self._unit(72, 48, 1)])
        self.pool = self._unit(96, 48, 1)
        self.up = self._unit(80, 32)
        self.heads = nn.ModuleList([nn.Conv2d(32, 3 * 7, 1), nn.Conv2d(48, 3 * 7, 1)])

    @staticmethod
    def _unit(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
        return nn.Sequential(conv_bn(inputs, outputs, kernel, stride), nn.SiLU())

    def _stage(self, index: int, x: Tensor) -> Tensor:
        first, second = self.split[index](self.down[index](x)).chunk(2, 1)
        return self.join[index](torch.cat([first, second, second + self.inner[index](second)], 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        corners = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
        high = self._stage(0, self.stem(torch.cat(corners, 1)))
        low = self._stage(1, high)
        low = self.pool(torch.cat([low, functional.max_pool2d(low, 5, 1, 2)], 1))
        raised = functional.interpolate(low, scale_factor=2.0, mode="nearest")
        high = self.up(torch.cat([raised, high], 1))
        return self._detect(0, high), self._detect(1, low)

    def _detect(self, index: int, x: Tensor) -> Tensor:
        y = self.heads[index](x)
        batch, _, height, width = y.shape
        return y.view(batch, 3, 7, height, width).permute(0, 1, 3, 4, 2)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "cifar-resnet": (cifar_resnet, 16),
    "resnet-50": (resnet50, 32),
    "mobilenet-v2": (mobilenet_v2, 32),
    "u-net": (UNet, 16),
    "shufflenet": (shufflenet, 16),
    "squeeze-excite": (squeeze_excite, 16),
    "yolo": (Yolo, 32),
}
"""Each network, and the height and width of its images."""


def exported(name: str) -> bytes:
    """A network with random weights and statistics, as ONNX with a dynamic batch."""
    build, size = NETWORKS[name]
    torch.manual_seed(0)
    network = build().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (torch.randn(2, 3, size, size),), file, dynamo=False, opset_version=17,
            input_names=["image"], dynamic_axes={"image": {0: "batch"}},
        )  # fmt: skip
    return file.getvalue()
