"""Where lprc keeps things here, and the data that is found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from lprc.compiler.cache.location import open_store, store_in_use
from lprc.core.errors import DataError
from lprc.core.files.image_listing import list_images

DATA_VARIABLES = ("LPRC_DATA", "LPRC_FRAMES")
"""Folders of data that tests and benchmarks look for."""


@dataclass(frozen=True)
class CachePlace:
    """The cache.

    Attributes:
        folder: Where it is.
        used: Whether it is switched on.
        size_bytes: Of what is in it.
        limit_bytes: How large it may become.
        writable: Whether this user can write there.
    """

    folder: Path
    used: bool
    size_bytes: int
    limit_bytes: int
    writable: bool

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {**vars(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class DataPlace:
    """A folder of images.

    Attributes:
        name: What names it: a variable of the environment, or what it is.
        folder: Where it is, or would be.
        images: How many are in it and below it; None where there is no such folder.
    """

    name: str
    folder: Path
    images: int | None

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {**vars(self), "folder": str(self.folder)}


def cache_place() -> CachePlace:
    """The cache.

    Raises:
        UsageError: The environment says something of it that can't be understood.
    """
    store = open_store()
    above = next(folder for folder in (store.folder, *store.folder.parents) if folder.exists())
    return CachePlace(
        folder=store.folder,
        used=store_in_use() is not None,
        size_bytes=store.usage().size_bytes,
        limit_bytes=store.limit,
        writable=os.access(above, os.W_OK),
    )


def data_places() -> list[DataPlace]:
    """The data that the environment names, and that which lprc brings along."""
    bundled = Path(str(files("lprc.models"))) / "synthetic_plates"
    named = [(name, os.environ.get(name)) for name in DATA_VARIABLES]
    rows = [(name, Path(value)) for name, value in named if value]
    return [DataPlace(name, path, _images(path)) for name, path in [("bundled", bundled), *rows]]


def _images(folder: Path) -> int | None:
    """How many images are in a folder and those in it."""
    if not folder.is_dir():
        return None
    count = 0
    for place in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        try:
            count += len(list_images(place))
        except DataError:
            continue
    return count
