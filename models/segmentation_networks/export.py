"""Trained networks of pixels as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lprc.core.errors import DataError, UsageError
from lprc.models.export import write_onnx
from lprc.models.segmentation_networks.networks import network
from lprc.models.training_state import load_state

if TYPE_CHECKING:
    from torch import nn

OUTPUTS = ("logits",)
LEAST_PIXELS = 32


def load_network(path: Path) -> nn.Module:
    """The network in a ``best.pt`` or ``last.pt`` of `SegmentationTrainer`, ready for inference.

    Args:
        path: The file; it says which network it is.

    Raises:
        DataError: Not such a file, or a damaged one.
        UsageError: It is of a network that there is none.
    """
    state = load_state(path, "cpu")
    options = state["options"]
    try:
        loaded = network(options["network"], len(options["classes"]), options["width"])
        loaded.load_state_dict(state["model"])
    except (KeyError, RuntimeError, TypeError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(
            f"holds no weights of a network of pixels: {reason}",
            where=str(path),
            hint="lprc train writes them as best.pt",
        ) from error
    return loaded.eval()


def export_segmentation(
    model: nn.Module,
    path: Path,
    *,
    height: int,
    width: int,
    batch: int | Literal["dynamic"] = "dynamic",
    opset: int = 20,
) -> None:
    """Write a network of pixels as ONNX: ``image`` to ``logits`` [batch, classes, height, width].

    The size is in the graph, the bilinear Resizes with it; a class for each pixel is the largest
    of the logits.

    Args:
        model: What is written.
        path: The file to write.
        height: Of the input in pixels.
        width: Of the input in pixels.
        batch: As of `lprc.models.export.export_onnx`; so are the other errors.
        opset: As of `lprc.models.export.export_onnx`.

    Raises:
        UsageError: A size under 32 pixels, of which the encoder leaves nothing.
    """
    if min(height, width) < LEAST_PIXELS:
        raise UsageError(
            f"the network can't take images of {width}×{height} pixels",
            hint=f"both are {LEAST_PIXELS} at least",
        )
    write_onnx(model, path, OUTPUTS, batch=batch, opset=opset, size=(height, width))
