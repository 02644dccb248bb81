"""Folders of ours that are removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from lprc.core.errors import OutputError


def remove_folder(root: Path, place: Path) -> None:
    """Remove a folder and what is in it.

    Args:
        root: What `place` is relative to.
        place: The folder, as errors call it.

    Raises:
        OutputError: It can't be removed.
    """
    path = root / place
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise OutputError(
            f"can't be removed: {error.strerror or error}", where=str(place), path=path
        ) from error
