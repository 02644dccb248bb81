"""Networks of timm, with random weights."""

from __future__ import annotations

from typing import Any

import timm
from timm.utils.model import reparameterize_model
from torch import nn

from _zoo.network import Network, alternating, image

NAMES = {
    "efficientnet_lite0": 96, "ghostnet_100": 96, "mobileone_s0": 96, "repvgg_a0": 64,
    "hrnet_w18_small": 96, "mobilenetv4_conv_small": 96, "fastvit_t8": 128,
    "edgenext_xx_small": 96, "mobilevit_xxs": 128, "pvt_v2_b0": 96, "levit_128s": 224,
    "lcnet_050": 96, "tinynet_e": 96, "rexnet_100": 96, "poolformer_s12": 64,
    "ese_vovnet19b_dw": 96, "skresnet18": 96, "res2net50_14w_8s": 64, "efficientformerv2_s0": 224,
    "hardcorenas_a": 96, "xcit_nano_12_p16_224": 96, "selecsls42b": 96, "eca_nfnet_l0": 64,
}  # fmt: skip
"""Height and width of the image that each takes."""

SIZED = {
    "vit_tiny_patch16_224": 96,
    "deit_tiny_patch16_224": 96,
    "resmlp_12_224": 96,
    "gmixer_12_224": 96,
    "efficientformerv2_s0": 224,
}
"""Networks whose weights depend on the size of the image."""

REPARAMETERIZED = ("mobileone_s0", "repvgg_a0", "fastvit_t8")


def networks() -> list[Network]:
    """Those that this release of timm has."""
    names = {**NAMES, **SIZED}
    chosen = [name for name in names if timm.is_model(name)]
    result = [
        Network(
            f"timm_{name}", lambda name=name: _made(name), image(names[name]), alternating(index)
        )
        for index, name in enumerate(chosen)
    ]
    merged = [
        Network(
            f"timm_{name}_merged",
            lambda name=name: _made(name),
            image(names[name]),
            alternating(index + 1),
            finish=reparameterize_model,
        )
        for index, name in enumerate(REPARAMETERIZED)
        if name in chosen
    ]
    return result + merged


def _made(name: str) -> nn.Module:
    options: dict[str, Any] = {"img_size": SIZED[name]} if name in SIZED else {}
    return timm.create_model(name, pretrained=False, num_classes=40, exportable=True, **options)
