"""The networks that benchmarks/gpu.py runs: torch modules, and their ONNX with a symbolic batch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from _quantization_networks import Block, UNet
from torch import nn

from lprc.models.checkpoint import load_checkpoint
from lprc.models.export import export_onnx
from lprc.models.lprnet import LPRNet


class Detector(nn.Module):
    """A residual backbone, and one level of scores and distances at stride 16, as FCOS has them."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [(3, 16, 2), (16, 32, 2), (32, 64, 2), (64, 96, 2), (96, 96, 1)]
        self.blocks = nn.Sequential(*(Block(*size) for size in sizes))
        self.scores, self.distances = nn.Conv2d(96, 1, 3, padding=1), nn.Conv2d(96, 4, 3, padding=1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Float32 [N, 3, H, W] to scores [N, 1, H/16, W/16] and distances [N, 4, H/16, W/16]."""
        maps = self.blocks(image)
        return self.scores(maps).sigmoid(), self.distances(maps).relu()


@dataclass(frozen=True)
class GpuNetwork:
    """A network of the benchmark.

    Attributes:
        name: As in the table.
        module: In evaluation mode, with its weights.
        path: Its ONNX file.
        size: Channels, height and width of its input ``image``.
    """

    name: str
    module: nn.Module
    path: Path
    size: tuple[int, int, int]


def networks(folder: Path, weights: Path | None) -> list[GpuNetwork]:
    """LPRNet (of `weights`, or random), the detector and a U-Net, exported to `folder`.

    Args:
        folder: Where the ONNX files are written.
        weights: An LPRNet checkpoint; None for random weights, which no accuracy can be told of.
    """
    torch.manual_seed(0)
    reader = load_checkpoint(weights) if weights else LPRNet(68)
    reader.eval()
    plates = folder / "lprnet.onnx"
    export_onnx(reader, plates)
    built = [GpuNetwork("lprnet", reader, plates, (3, 24, 94))]
    others: tuple[tuple[str, Callable[[], nn.Module], tuple[int, int, int]], ...] = (
        ("detector", Detector, (3, 384, 640)),
        ("unet", UNet, (3, 256, 256)),
    )
    for name, build, size in others:
        module = _settled(build(), size)
        path = folder / f"{name}.onnx"
        _export(module, path, size)
        built.append(GpuNetwork(name, module, path, size))
    return built


def _settled(module: nn.Module, size: tuple[int, int, int]) -> nn.Module:
    """With BatchNormalization statistics of some batches, so that activations have real ranges."""
    module.train()
    with torch.no_grad():
        for _ in range(8):
            module(torch.randn(4, *size))
    return module.eval()


def _export(module: nn.Module, path: Path, size: tuple[int, int, int]) -> None:
    buffer = io.BytesIO()
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module, (torch.zeros(2, *size),), buffer, dynamo=True, verbose=False,
                input_names=["image"], dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            )  # fmt: skip
    finally:
        logging.disable(logging.NOTSET)
    path.write_bytes(buffer.getvalue())
