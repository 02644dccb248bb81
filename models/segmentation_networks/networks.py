"""The networks by name."""

from __future__ import annotations

import difflib
from functools import partial
from typing import TYPE_CHECKING, Protocol

from lprc.core.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

NAMES = ("mobilenet-unet", "swiftnet", "swiftnet-single")


class Build(Protocol):
    """Makes an untrained network."""

    def __call__(self, num_classes: int, *, width: float) -> nn.Module:
        """The network; its channels are `width` times the paper's."""
        ...


def network(name: str, num_classes: int, width: float) -> nn.Module:
    """An untrained network.

    Args:
        name: One of `NAMES`; ``swiftnet`` has the pyramid, ``swiftnet-single`` one scale.
        num_classes: Classes of pixels.
        width: Channels against the paper's.

    Raises:
        UsageError: There is no such network.
    """
    from lprc.models.segmentation_networks.mobilenet_unet import MobileNetUNet
    from lprc.models.segmentation_networks.swiftnet import SwiftNet

    builds: dict[str, Build] = {
        "mobilenet-unet": MobileNetUNet,
        "swiftnet": SwiftNet,
        "swiftnet-single": partial(SwiftNet, levels=1),
    }
    if name not in builds:
        close = difflib.get_close_matches(name, NAMES, 1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(NAMES)}"
        raise UsageError(f"there is no network '{name}'", hint=hint)
    return builds[name](num_classes, width=width)
