"""Networks for tests that need no trained weights, and the fonts that others need."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lprc.core.errors import MissingDependencyError
from lprc.models.lprnet import LPRNet
from lprc.models.synthetic_fonts import FONT_FILES, find_font


def skip_without_fonts() -> None:
    """Skip where the fonts that plates are drawn with are not installed."""
    try:
        for file_name in FONT_FILES:
            find_font(file_name)
    except MissingDependencyError as error:
        pytest.skip(str(error))


def random_lprnet(num_classes: int = 68, **options) -> LPRNet:
    """LPRNet with random weights whose BatchNormalizations have seen something."""
    torch.manual_seed(0)
    model = LPRNet(num_classes, **options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()
