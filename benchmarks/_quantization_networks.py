"""Networks that are not LPRNet, each trained in a minute or few, on drawn shapes or on streets."""

from __future__ import annotations

import hashlib
import io
import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - as all of torch's own documentation
from _quantization_data import UNLABELLED, Task, drawn, streets
from _quantization_modules import (
    CLASSES,
    THINGS,
    DeepResNet,
    EfficientNet,
    ESPNet,
    MobileNetV3,
    UltraFace,
    ViT,
)
from torch import nn


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
        target: What it names a class of: an ``image``, its ``pixels``, a detector's ``cells``, or
            the pixels of a ``street`` (CamVid).
    """

    title: str
    module: type[nn.Module]
    steps: int
    batch: int
    rate: float
    target: Literal["image", "pixels", "cells", "street"] = "image"

    def task(self, count: int, seed: int) -> Task:
        """Images float32 [count, 3, H, W] and classes int64 [count, …]; of streets, seed 3 tests.

        Raises:
            FileNotFoundError: There is no CamVid beside `DATA`.
        """
        if self.target == "street":
            return streets(count, "val" if seed == 3 else "train")
        images, labels, masks = drawn(count, seed, several=self.target != "image")
        if self.target == "cells":
            levels = [masks[:, step // 2 :: step, step // 2 :: step] for step in (4, 8, 16)]
            masks = np.concatenate([level.reshape(count, -1) for level in levels], axis=1)
        return images, labels if self.target == "image" else masks


NETWORKS = {
    "resnet": Network("residual Adds (ResNet)", ResNet, 500, 32, 3e-3),
    "mobilenet": Network("depthwise, ReLU6 (MobileNetV2)", MobileNet, 700, 48, 6e-3),
    "unet": Network("ConvTranspose, Concat (U-Net)", UNet, 500, 12, 6e-3, "pixels"),
    "mobilenetv3": Network("HardSwish, squeeze-excite (MobileNetV3)", MobileNetV3, 500, 32, 6e-3),
    "efficientnet": Network("Swish, squeeze-excite (EfficientNet)", EfficientNet, 500, 32, 6e-3),
    "deepresnet": Network("many residual Adds (ResNet-56)", DeepResNet, 500, 32, 6e-3),
    "ultraface": Network("two heads, dilation (UltraFace)", UltraFace, 500, 16, 6e-3, "cells"),
    "vit": Network("attention, GELU (ViT)", ViT, 700, 48, 2e-3),
    "espnet": Network("PReLU, dilation, ConvTranspose (ESPNet)", ESPNet, 700, 6, 3e-3, "street"),
}


SOURCES = [
    Path(__file__).with_name(f"{name}.py")
    for name in ("_quantization_networks", "_quantization_modules", "_quantization_data")
]
"""What a trained network depends on."""


def exported(network: Network, *, cache: Path | None = None) -> Path:
    """The trained network as ONNX with a symbolic batch; trained where the cache hasn't got it.

    Args:
        network: What to train.
        cache: Where trained networks stay; None for a folder under the system's temporary one.
    """
    folder = cache or Path(tempfile.gettempdir()) / "lprc-quantization-networks"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()[:12]
    path = folder / f"{network.module.__name__}-{recipe}.onnx"
    if not path.exists():
        data = _onnx(_trained(network), torch.from_numpy(network.task(2, seed=1)[0]))
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
        outputs = model(torch.from_numpy(images[chosen]))
        loss = _loss(outputs, torch.from_numpy(classes[chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def _loss(
    outputs: torch.Tensor | tuple[torch.Tensor, torch.Tensor], classes: torch.Tensor
) -> torch.Tensor:
    """Cross entropy; a second output learns which neighbours are alike."""
    if isinstance(outputs, torch.Tensor):
        return F.cross_entropy(outputs, classes, ignore_index=UNLABELLED)
    logits, offsets = outputs
    wanted = torch.stack([(classes.roll(by, 1) == classes).float() for by in (1, -1, 16, -16)], 1)
    return F.cross_entropy(logits, classes) + F.mse_loss(offsets, wanted)


def _onnx(model: nn.Module, image: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
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
