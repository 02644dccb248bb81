"""Write the bundled model and its plates: ``python -m lprc.models.bundle best.pt``."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import click
from PIL import Image

from lprc.core.files.image_listing import LABELS_FILE
from lprc.models.plate_config import PlateConfig
from lprc.models.synthetic import generate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUNDLED_MODEL = "lprnet_synthetic.onnx"
BUNDLED_PLATES = "synthetic_plates"

_PLATE_SETS = (("calib", 100, 2_000_001), ("test", 300, 2_000_002))
"""Folder, plates and seed; training takes other seeds."""


def write_plates(folder: Path, count: int, seed: int, config: PlateConfig) -> None:
    """Write ``count`` generated plates as JPEG files, and their labels as ``labels.csv``.

    Raises:
        MissingDependencyError: A font that plates are drawn with is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LABELS_FILE).open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("file", "label"))
        for index, (image, label) in enumerate(generate(count, seed, config)):
            file = f"{index:03}.jpg"
            rgb = _as_rgb(image, config)
            Image.fromarray(rgb).save(folder / file, "JPEG", quality=95, subsampling=0)
            table.writerow((file, label))


def _as_rgb(image: NDArray[np.uint8], config: PlateConfig) -> NDArray[np.uint8]:
    return image[..., ::-1].copy() if config.channels == "BGR" else image


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(__file__).parent,
    show_default="the installed lprc.models",
    help="Folder to write to.",
)
def main(checkpoint: Path, out: Path) -> None:
    """Export CHECKPOINT, a file of lprc.models.train, and draw the calibration and test plates."""
    from lprc.models.checkpoint import load_checkpoint
    from lprc.models.export import export_onnx

    config = PlateConfig.named("synthetic")
    # Trained with the mean of each sample alone, see lprc.models.train.
    model = load_checkpoint(checkpoint, num_classes=config.num_classes, batch_mean=False)
    export_onnx(model, out / BUNDLED_MODEL, height=config.height, width=config.width)
    for name, count, seed in _PLATE_SETS:
        write_plates(out / BUNDLED_PLATES / name, count, seed, config)


if __name__ == "__main__":
    main()
