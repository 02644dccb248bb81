"""Which files of a folder are images or labels, without reading them."""

from __future__ import annotations

from pathlib import Path

from lprc.core.errors import DataError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})

LABELS_FILE = "labels.csv"

_TABLES = frozenset({".csv", ".json"})


def list_images(folder: Path) -> list[Path]:
    """The image files of `folder`, sorted by name.

    Raises:
        DataError: No such folder, one that can't be read, or no image in it.
    """
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder))
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"can't be read: {error.strerror}", where=str(folder)) from error
    # A link to nothing stays: reading it is an error, and leaving it out would be silent.
    images = [path for path in entries if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    if not images:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise DataError("no images in it", where=str(folder), hint=f"known kinds: {suffixes}")
    return images


def list_labelled(place: Path) -> list[Path]:
    """The images and the files of labels in a folder and the folders in it, sorted.

    Args:
        place: A folder, or a file of labels in one.

    Raises:
        DataError: No such folder, or neither in it.
    """
    folder = place.parent if place.is_file() else place
    if not folder.is_dir():
        raise DataError("no such folder", where=str(folder))
    files = [path for path in sorted(folder.rglob("*")) if _may_count(path, folder)]
    if not files:
        raise DataError("neither images nor labels in it", where=str(folder))
    return [path for path in files if not path.is_dir()]


def _may_count(path: Path, folder: Path) -> bool:
    """Whether a file is an image or may hold labels: beside images a .txt is a note."""
    suffix = path.suffix.lower()
    return suffix in SUFFIXES | _TABLES or (suffix == ".txt" and path.parent != folder)
