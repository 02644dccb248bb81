"""A few labelled images of many."""

from __future__ import annotations

import shutil
from pathlib import Path

COUNT = 60


def some_of(data: Path, folder: Path) -> Path:
    """A folder with `COUNT` or a few more of the images of another and their masks, evenly spread.

    Accuracy control judges by them, and importance is measured on them; they are of ``train``.
    """
    images = sorted((data / "images").iterdir())
    for image in images[:: max(1, len(images) // COUNT)]:
        mask = data / "masks" / f"{image.stem}.png"
        for source in (image, mask):
            target = folder / source.parent.name / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder
