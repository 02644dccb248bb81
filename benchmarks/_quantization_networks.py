"""Three networks that are not LPRNet, trained in about a minute each on shapes drawn by a seed."""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as all of torch's own documentation
from numpy.typing import NDArray
from torch import nn

SIDE = 64
CLASSES = 8
THINGS = 4
"""Classes of a pixel: the background and three kinds of shape."""

Task = tuple[NDArray[np.float32], NDArray[np.int64]]


class Block(nn.Module):
    """Two Convs and a residual Add, as in ResNet-18."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.c1, self.b1 = _conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.c2, self.b2 = _conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float32 [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        y = self.b2(self.c2(F.relu(self.b1(self.c1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """Residual Adds: a stem with MaxPool, three stages of two blocks, GlobalAveragePool."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = _conv(3, 24, 5), nn.BatchNorm2d(24)
        sizes = [(24, 24, 1), (24, 24, 1), (24, 48, 2), (48, 48, 1), (48, 96, 2), (96, 96, 1)]
        self.blocks = nn.Sequential(*(Block(*size) for size in sizes))
        self.head = nn.Linear(96, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images float32 [N, 3, 64, 64] to logits [N, 8]."""
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 3, 2, 1)
        return self.head(F.adaptive_avg_pool2d(self.blocks(x), 1).flatten(1))


class Inverted(nn.Module):
    """Expand, depthwise, project, and an Add where the shapes are the same: MobileNetV2."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        middle = inputs * expand
        layers: list[nn.Module] = []
        if expand > 1:
            layers += [_conv(inputs, middle, 1), nn.BatchNorm2d(middle), nn.ReLU6()]
        layers += [
            nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU6(),
            _conv(middle, outputs, 1),
            nn.BatchNorm2d(outputs),
        ]
        self.layers, self.add = nn.Sequential(*layers), stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float32 [N, inputs, H, W] to [N, outputs, H / stride, W / stride]."""
        return x + self.layers(x) if self.add else self.layers(x)


class MobileNet(nn.Module):
    """Depthwise Convs and ReLU6, as MobileNetV2."""

    def __init__(self) -> None:
        super().__init__()
        stem = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6()]
        sizes = [
            (16, 12, 1, 1), (12, 16, 2, 4), (16, 16, 1, 4), (16, 24, 2, 4), (24, 24, 1, 4),
            (24, 32, 1, 4), (32, 32, 1, 4),
        ]  # fmt: skip
        last = [_conv(32, 128, 1), nn.BatchNorm2d(128), nn.ReLU6()]
        self.features = nn.Sequential(*stem, *(Inverted(*size) for size in sizes), *last)
        self.drop, self.head = nn.Dropout(0.1), nn.Linear(128, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images float32 [N, 3, 64, 64] to logits [N, 8]."""
        return self.head(self.drop(self.features(x).mean((2, 3))))


class UNet(nn.Module):
    """Three levels, ConvTranspose upwards, skips by Concat; a class for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = self._double(3, 12), self._double(12, 24), self._double(24, 48)
        self.up1, self.up2 = nn.ConvTranspose2d(48, 24, 2, 2), nn.ConvTranspose2d(24, 12, 2, 2)
        self.d, self.e = self._double(48, 24), self._double(24, 12)
        self.out = nn.Conv2d(12, THINGS, 1)

    @staticmethod
    def _double(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            _conv(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.ReLU(),
            _conv(outputs, outputs, 3), nn.BatchNorm2d(outputs), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images float32 [N, 3, 64, 64] to logits [N, 4, 64, 64]."""
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        d = self.d(torch.cat([b, self.up1(c)], 1))
        return self.out(self.e(torch.cat([a, self.up2(d)], 1)))


@dataclass(frozen=True)
class Network:
    """What is trained, and how.

    Attributes:
        title: As in the table.
        module: The network.
        steps: Batches of `batch` images to train it on.
        batch: Images a step.
        rate: The highest learning rate.
        segments: Whether it names a class for each pixel, rather than for each image.
    """

    title: str
    module: type[nn.Module]
    steps: int
    batch: int
    rate: float
    segments: bool

    def task(self, count: int, seed: int) -> Task:
        """Images float32 [count, 3, 64, 64] and classes int64 [count] or [count, 64, 64]."""
        images, labels, masks = drawn(count, seed, several=self.segments)
        return images, masks if self.segments else labels


NETWORKS = {
    "resnet": Network("residual Adds (ResNet)", ResNet, 500, 32, 3e-3, segments=False),
    "mobilenet": Network(
        "depthwise, ReLU6 (MobileNetV2)", MobileNet, 700, 48, 6e-3, segments=False
    ),
    "unet": Network("ConvTranspose, Concat (U-Net)", UNet, 500, 12, 6e-3, segments=True),
}


def drawn(
    count: int, seed: int, *, several: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Shapes before a gradient, with uneven light and noise; values of about −1 to 1.

    Args:
        count: Images.
        seed: Of everything in them.
        several: Three shapes of three kinds in an image, rather than one of eight.

    Returns:
        Images float32 [count, 3, 64, 64], the class of each one's first shape int64 [count], and of
        each pixel int64 [count, 64, 64] (0 for the background).
    """
    generator = np.random.default_rng(seed)
    axis = np.arange(SIDE, dtype=np.float64) + 0.5
    x, y = np.meshgrid(axis, axis)
    images = np.empty((count, 3, SIDE, SIDE), np.float32)
    labels = np.empty(count, np.int64)
    masks = np.zeros((count, SIDE, SIDE), np.int64)
    for index in range(count):
        tilt = generator.normal(0, 0.4, (3, 2))
        field = generator.uniform(-0.6, 0.6, (3, 1, 1)) + np.einsum(
            "ck,khw->chw", tilt, np.stack([x, y]) / SIDE - 0.5
        )
        kinds = generator.integers(0, THINGS - 1 if several else CLASSES, 3 if several else 1)
        for kind in kinds:
            inside = _shape(int(kind), x, y, generator)
            colour = generator.uniform(-1, 1, (3, 1, 1))
            field = np.where(inside, field * 0.2 + colour, field)
            masks[index][inside] = kind + 1
        light = generator.uniform(0.5, 1.3)
        images[index] = field * light + generator.normal(0, 0.08, field.shape)
        labels[index] = kinds[0]
    return images, labels, masks


def _shape(
    kind: int, x: NDArray[np.float64], y: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Where a disc, square, triangle, ring, cross, frame, crescent or bar is; bool [64, 64]."""
    radius = generator.uniform(9, 18)
    centre = generator.uniform(radius, SIDE - radius, 2)
    angle = generator.uniform(0, 2 * np.pi)
    u = ((x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)) / radius
    v = ((y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)) / radius
    far, edge = np.hypot(u, v), np.maximum(np.abs(u), np.abs(v))
    disc = far < 0.9
    forms: list[NDArray[np.bool_]] = [
        disc,
        edge < 0.75,
        (v > -0.5) & (v < 1 - np.sqrt(3) * np.abs(u)),
        disc & (far > 0.5),
        (edge < 0.9) & (np.minimum(np.abs(u), np.abs(v)) < 0.28),
        (edge < 0.8) & (edge > 0.45),
        disc & (np.hypot(u - 0.4, v) > 0.7),
        (np.abs(u) < 0.95) & (np.abs(v) < 0.3),
    ]
    return forms[kind]


def exported(network: Network, *, cache: Path | None = None) -> Path:
    """The trained network as ONNX with a symbolic batch; trained where the cache hasn't got it.

    Args:
        network: What to train.
        cache: Where trained networks stay; None for a folder under the system's temporary one.
    """
    folder = cache or Path(tempfile.gettempdir()) / "lprc-quantization-networks"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    path = folder / f"{network.module.__name__}-{recipe}.onnx"
    if not path.exists():
        data = _onnx(_trained(network))
        partial = path.with_suffix(".partial")
        partial.write_bytes(data)
        partial.replace(path)
    return path


def _trained(network: Network) -> nn.Module:
    torch.manual_seed(0)
    images, classes = network.task(network.batch * 160, seed=1)
    model = network.module().train()
    optimizer = torch.optim.AdamW(model.parameters(), network.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, network.rate, network.steps)
    generator = np.random.default_rng(2)
    for _ in range(network.steps):
        chosen = generator.integers(0, len(images), network.batch)
        loss = F.cross_entropy(
            model(torch.from_numpy(images[chosen])), torch.from_numpy(classes[chosen])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def _onnx(model: nn.Module) -> bytes:
    buffer = io.BytesIO()
    image = torch.zeros(2, 3, SIDE, SIDE)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model, (image,), buffer, dynamo=True, verbose=False, input_names=["image"],
                output_names=["logits"], dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    return buffer.getvalue()


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
