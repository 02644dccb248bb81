"""Export the plate detector: ``python -m lprc.models.plate_detector.export best.pt -o FILE``."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Literal

import click
import torch

from lprc.core.errors import DataError, UsageError
from lprc.models.export import write_onnx
from lprc.models.plate_detector.network import SIZE_MULTIPLE, DeployedDetector, PlateDetector
from lprc.models.program import Program

OUTPUTS = ("scores", "boxes")


def load_detector(path: Path, *, width: float = 1.0) -> PlateDetector:
    """Read weights that `DetectorTrainer.save` wrote.

    Args:
        path: A state dict of `PlateDetector`.
        width: As of `PlateDetector`.

    Raises:
        DataError: Not such a file, or one of another width.
    """
    network = PlateDetector(width)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, EOFError, RuntimeError, TypeError, pickle.UnpicklingError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise DataError(
            f"holds no weights of the plate detector: {reason}",
            where=str(path),
            hint="lprc.models.plate_detector.train writes them as best.pt",
        ) from error
    return network.eval()


def export_detector(
    network: PlateDetector,
    path: Path,
    *,
    height: int = 384,
    width: int = 640,
    batch: int | Literal["dynamic"] = "dynamic",
    opset: int = 20,
) -> None:
    """Write the detector as ONNX: ``image`` to ``scores`` and ``boxes``, as of `DeployedDetector`.

    Args:
        network: What is written.
        path: The file to write.
        height: Of the input in pixels, a multiple of 32.
        width: Of the input in pixels, a multiple of 32.
        batch: As of `lprc.models.export.export_onnx`; so are the other errors.
        opset: As of `lprc.models.export.export_onnx`.

    Raises:
        UsageError: A size that is no multiple of 32.
    """
    if height < 1 or width < 1 or height % SIZE_MULTIPLE or width % SIZE_MULTIPLE:
        raise UsageError(
            f"the detector can't take images of {width}×{height} pixels",
            hint=f"both are multiples of {SIZE_MULTIPLE}",
        )
    deployed = DeployedDetector(network, height, width)
    write_onnx(deployed, path, OUTPUTS, batch=batch, opset=opset, size=(height, width))


@click.command(cls=Program)
@click.argument("weights", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="To write to.")
@click.option("--height", default=384, show_default=True, type=click.IntRange(1))
@click.option("--width", default=640, show_default=True, type=click.IntRange(1))
def main(weights: Path, out: Path, height: int, width: int) -> None:
    """Write WEIGHTS, a best.pt of lprc.models.plate_detector.train, as ONNX."""
    export_detector(load_detector(weights), out, height=height, width=width)


if __name__ == "__main__":
    main()
