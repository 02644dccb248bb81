"""Classifiers, segmentation and detection heads of torchvision, with random weights."""

from __future__ import annotations

from typing import Any

import torch
import torchvision
from torch import nn

from _zoo.network import EXPORTS, Network, alternating, image

CLASSIFIERS = {
    "resnet18": 96, "mobilenet_v2": 96, "mobilenet_v3_small": 96, "mobilenet_v3_large": 96,
    "efficientnet_b0": 96, "shufflenet_v2_x0_5": 96, "shufflenet_v2_x1_0": 96,
    "regnet_x_400mf": 96, "regnet_y_400mf": 96, "densenet121": 64, "convnext_tiny": 64,
    "squeezenet1_1": 96, "googlenet": 96, "inception_v3": 128, "mnasnet0_5": 96,
    "resnext50_32x4d": 64, "swin_t": 64,
}  # fmt: skip
"""Height and width of the image that each takes."""

ALL_EXPORTS = {"resnet18", "mobilenet_v2"}
FULLY_CONVOLUTIONAL = {"image": {0: "batch", 2: "height", 3: "width"}}


class Segmentation(nn.Module):
    """A segmentation model's main output alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [N, 3, H, W] to logits [N, classes, H, W]."""
        return self.model(x)["out"]


class Heads(nn.Module):
    """A detector's backbone and heads, before boxes are decoded and suppressed."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone, self.head = model.backbone, model.head

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Images [N, 3, H, W] to what the heads say, each [N, anchors, values]."""
        features = self.backbone(x)
        levels = [features] if isinstance(features, torch.Tensor) else list(features.values())
        return tuple(self.head(levels).values())


def networks() -> list[Network]:
    """All of them."""
    result = [
        _classifier(name, side, index) for index, (name, side) in enumerate(CLASSIFIERS.items())
    ]
    segmentation = torchvision.models.segmentation
    detection = torchvision.models.detection
    for index, name in enumerate(("lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large")):
        result.append(
            Network(
                name,
                lambda name=name: Segmentation(
                    getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=12)
                ),
                image(96),
                ("script", "dynamo-dynamic") if index == 0 else ("script-dynamic",),
                dynamic=FULLY_CONVOLUTIONAL if index == 0 else None,
            )
        )
    for name, side in (
        ("ssdlite320_mobilenet_v3_large", 160),
        ("retinanet_resnet50_fpn", 64),
        ("fcos_resnet50_fpn", 64),
    ):
        result.append(
            Network(
                name.partition("_")[0] + "_heads",
                lambda name=name: Heads(
                    getattr(detection, name)(weights=None, weights_backbone=None, num_classes=8)
                ),
                image(side),
                alternating(len(result)),
            )
        )
    return result


def _classifier(name: str, side: int, index: int) -> Network:
    make = getattr(torchvision.models, name)
    extra = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    if extra:
        extra["init_weights"] = False
    exports = EXPORTS if name in ALL_EXPORTS else alternating(index)
    return Network(name, lambda: make(weights=None, num_classes=40, **extra), image(side), exports)
