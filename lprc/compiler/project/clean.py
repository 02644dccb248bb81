"""Remove artefacts, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from lprc.compiler.artifact.manifest_file import is_artefact
from lprc.compiler.project.state import States
from lprc.core.errors import OutputError


def clean(root: Path, states: States, places: Mapping[str, Path]) -> tuple[list[Path], list[Path]]:
    """Remove the artefacts of some builds; what was removed, and what was left.

    Args:
        root: The project's folder.
        states: Of its builds; theirs are forgotten.
        places: Their folders, by name.

    Raises:
        OutputError: One can't be removed.
    """
    removed, left = [], []
    for name, place in places.items():
        path = root / place
        if path.is_dir() and not path.is_symlink() and is_artefact(path):
            try:
                shutil.rmtree(path)
            except OSError as error:
                raise OutputError(
                    f"can't be removed: {error.strerror or error}", where=str(place), path=path
                ) from error
            removed.append(place)
        elif path.exists():
            left.append(place)
        states.forget(name)
    return removed, left
