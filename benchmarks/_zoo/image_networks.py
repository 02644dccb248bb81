"""Networks on images as people write them: U-Nets, ESPNet, YOLO, super-resolution, a generator."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - as all of torch's own documentation
from torch import nn

from _zoo.network import EXPORTS, Network, image

SIZES = {"image": {0: "batch", 2: "height", 3: "width"}}


def conv_block(inputs: int, outputs: int, act: nn.Module, stride: int = 1) -> nn.Sequential:
    """A 3×3 Conv, BatchNormalization and an activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), act
    )


class UNet(nn.Module):
    """Three levels; upwards by ConvTranspose, bilinear Resize or nearest Resize."""

    def __init__(self, up: str) -> None:
        super().__init__()
        self.up = up
        self.down = nn.ModuleList([self._double(3, 12), self._double(12, 24), self._double(24, 48)])
        self.lift = nn.ModuleList(
            [nn.ConvTranspose2d(48, 24, 2, 2), nn.ConvTranspose2d(24, 12, 2, 2)]
            if up == "transposed"
            else [nn.Conv2d(48, 24, 1), nn.Conv2d(24, 12, 1)]
        )
        self.merge = nn.ModuleList([self._double(48, 24), self._double(24, 12)])
        self.out = nn.Conv2d(12, 4, 1)

    @staticmethod
    def _double(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            conv_block(inputs, outputs, nn.ReLU()), conv_block(outputs, outputs, nn.ReLU())
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W] to logits [N, 4, H, W]."""
        skips = []
        for block in self.down:
            x = block(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        for lift, merge, skip in zip(self.lift, self.merge, reversed(skips[:-1]), strict=True):
            x = lift(x)
            if self.up != "transposed":
                x = F.interpolate(x, size=skip.shape[2:], mode=self.up)
            x = merge(torch.cat([skip, x], 1))
        return self.out(x)


class EspBlock(nn.Module):
    """Dilated Convs side by side, summed one into the next, concatenated: ESPNet's pyramid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        part = channels // 4
        self.reduce = nn.Conv2d(channels, part, 1, bias=False)
        self.branches = nn.ModuleList(
            nn.Conv2d(part, part, 3, padding=rate, dilation=rate, bias=False)
            for rate in (1, 2, 4, 8)
        )
        self.norm, self.act = nn.BatchNorm2d(channels), nn.PReLU(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, channels, H, W] to the same shape."""
        reduced = self.reduce(x)
        outputs: list[torch.Tensor] = []
        for branch in self.branches:
            y = branch(reduced)
            outputs.append(y + outputs[-1] if outputs else y)
        return self.act(self.norm(torch.cat(outputs, 1) + x))


class EspNet(nn.Module):
    """PReLU, dilated and transposed Convs, average pools of the input: segmentation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_block(3, 16, nn.PReLU(16), 2)
        self.level1 = nn.Sequential(conv_block(19, 32, nn.PReLU(32), 2), EspBlock(32))
        self.level2 = nn.Sequential(conv_block(35, 64, nn.PReLU(64), 2), EspBlock(64))
        self.up2 = nn.ConvTranspose2d(64, 32, 3, 2, 1, 1)
        self.up1 = nn.ConvTranspose2d(64, 16, 3, 2, 1, 1)
        self.out = nn.ConvTranspose2d(32, 5, 2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W] to logits [N, 5, H, W]."""
        half = F.avg_pool2d(x, 3, 2, 1)
        quarter = F.avg_pool2d(half, 3, 2, 1)
        a = self.stem(x)
        b = self.level1(torch.cat([a, half], 1))
        c = self.level2(torch.cat([b, quarter], 1))
        d = torch.cat([self.up2(c), b], 1)
        return self.out(torch.cat([self.up1(d), a], 1))


class Yolo(nn.Module):
    """SiLU, split and concat stages, SPPF, Resize upwards, DFL boxes decoded in the graph."""

    BINS = 8

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_block(3, 16, nn.SiLU(), 2), conv_block(16, 24, nn.SiLU(), 2))
        self.mid = nn.Sequential(conv_block(24, 24, nn.SiLU()), conv_block(24, 24, nn.SiLU()))
        self.fuse = conv_block(72, 48, nn.SiLU(), 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.spp = nn.Conv2d(192, 48, 1)
        self.lateral = conv_block(120, 32, nn.SiLU())
        self.boxes = nn.ModuleList(nn.Conv2d(c, 4 * self.BINS, 1) for c in (32, 48))
        self.scores = nn.ModuleList(nn.Conv2d(c, 6, 1) for c in (32, 48))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W] to boxes and scores [N, 4 + 6, anchors]."""
        x = self.stem(x)
        left, right = self.mid[0](x), self.mid[1](x)
        first = torch.cat([x, left, right + left], 1)
        deep = self.fuse(first)
        one = self.pool(deep)
        two = self.pool(one)
        deep = F.silu(self.spp(torch.cat([deep, one, two, self.pool(two)], 1)))
        high = self.lateral(torch.cat([F.interpolate(deep, scale_factor=2.0), first], 1))
        levels = [self._decoded(high, 0, 4.0), self._decoded(deep, 1, 8.0)]
        return torch.cat(levels, 2)

    def _decoded(self, x: torch.Tensor, index: int, stride: float) -> torch.Tensor:
        batch, _, height, width = x.shape
        bins = self.boxes[index](x).reshape(batch, 4, self.BINS, height * width).softmax(2)
        weights = torch.arange(self.BINS, dtype=torch.float32).reshape(1, 1, -1, 1)
        sides = (bins * weights).sum(2)
        scores = self.scores[index](x).reshape(batch, 6, height * width).sigmoid()
        ys = torch.arange(height).to(x.dtype).reshape(-1, 1) + 0.5
        xs = torch.arange(width).to(x.dtype).reshape(1, -1) + 0.5
        centres = torch.stack(
            [xs.expand(height, width).reshape(-1), ys.expand(height, width).reshape(-1)]
        )
        low, high = centres - sides[:, :2], centres + sides[:, 2:]
        return torch.cat([(low + high) / 2 * stride, (high - low) * stride, scores], 1)


class SuperResolution(nn.Module):
    """ESPCN: PixelShuffle behind tanh Convs, over a bicubic-free skip."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 5, 1, 2), nn.Tanh(), nn.Conv2d(32, 16, 3, 1, 1), nn.Tanh(),
            nn.Conv2d(16, 9, 3, 1, 1), nn.PixelShuffle(3),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, 1, H, W] to [N, 1, 3H, 3W]."""
        return self.layers(x) + F.interpolate(x, scale_factor=3.0, mode="bilinear")


class StyleTransfer(nn.Module):
    """InstanceNorm, reflection pads, residual blocks, LeakyReLU: a generator of pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(
            nn.ReflectionPad2d(2), nn.Conv2d(3, 16, 5), nn.InstanceNorm2d(16, affine=True),
            nn.LeakyReLU(0.1), nn.Conv2d(16, 32, 3, 2, 1), nn.InstanceNorm2d(32, affine=True),
            nn.LeakyReLU(0.1),
        )  # fmt: skip
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.ReflectionPad2d(1), nn.Conv2d(32, 32, 3), nn.InstanceNorm2d(32, affine=True)
            )
            for _ in range(2)
        )
        self.leave = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.GroupNorm(4, 16), nn.GELU(),
            nn.Conv2d(16, 3, 3, 1, 1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W] to images of the same size."""
        x = self.enter(x)
        for block in self.body:
            x = F.elu(x + block(x))
        return self.leave(x)


class Warped(nn.Module):
    """A spatial transformer: an affine grid from the image, GridSample, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.locate = nn.Sequential(
            conv_block(1, 8, nn.ReLU(), 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6)
        )
        self.features = nn.Sequential(
            conv_block(1, 16, nn.Hardswish(), 2), conv_block(16, 32, nn.Softplus(), 2)
        )
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, 1, H, W] to log-probabilities [N, 10]."""
        identity = torch.tensor([1.0, 0, 0, 0, 1.0, 0])
        theta = (self.locate(x) * 0.1 + identity).reshape(-1, 2, 3)
        ys = torch.linspace(-1, 1, x.shape[2])
        xs = torch.linspace(-1, 1, x.shape[3])
        rows, columns = torch.meshgrid(ys, xs, indexing="ij")
        points = torch.stack([columns, rows, torch.ones_like(rows)], -1).reshape(1, -1, 3)
        grid = (points @ theta.transpose(1, 2)).reshape(-1, x.shape[2], x.shape[3], 2)
        features = self.features(F.grid_sample(x, grid, align_corners=True))
        return F.log_softmax(self.head(features.mean((2, 3))), 1)


class Volume(nn.Module):
    """3-D Convs, BatchNorm3d, MaxPool3d and AdaptiveAvgPool3d: a clip or a scan."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(), nn.MaxPool3d(2),
            nn.Conv3d(8, 16, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(16), nn.ReLU(),
            nn.ConvTranspose3d(16, 8, 2, 2), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
            nn.Linear(8, 5),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, 1, D, H, W] to logits [N, 5]."""
        return self.layers(x)


class Siamese(nn.Module):
    """Two images through one network of shared weights: cosine similarity and distance."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            conv_block(3, 16, nn.PReLU(16), 2), conv_block(16, 32, nn.PReLU(32), 2),
            nn.Conv2d(32, 32, 8, groups=32), nn.Flatten(), nn.Linear(32, 24), nn.BatchNorm1d(24),
        )  # fmt: skip

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Two images [N, 3, 32, 32] to similarity [N] and distance [N, 1]."""
        a, b = F.normalize(self.embed(left)), F.normalize(self.embed(right))
        return (a * b).sum(1), (a - b).pow(2).sum(1, keepdim=True).sqrt()


def networks() -> list[Network]:
    """All of them."""
    pair = {"left": (1, 3, 32, 32), "right": (1, 3, 32, 32)}
    return [
        Network("unet_transposed", lambda: UNet("transposed"), image(64), EXPORTS, SIZES),
        Network("unet_bilinear", lambda: UNet("bilinear"), image(64), EXPORTS[::2]),
        Network("unet_nearest", lambda: UNet("nearest"), image(64), EXPORTS[1::2]),
        Network("espnet", EspNet, image(64), ("dynamo", "script-dynamic")),
        Network("yolo", Yolo, image(64), EXPORTS),
        Network(
            "super_resolution", SuperResolution, image(32, 1), ("dynamo-dynamic", "script"), SIZES
        ),
        Network("style_transfer", StyleTransfer, image(48), ("dynamo", "script-dynamic")),
        Network("warped", Warped, image(32, 1), ("dynamo", "script")),
        Network("volume", Volume, {"scan": (1, 1, 8, 24, 24)}, ("dynamo", "script-dynamic")),
        Network("siamese", Siamese, pair, ("dynamo-dynamic", "script")),
    ]
