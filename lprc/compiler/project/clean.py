"""Remove artefacts, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lprc.compiler.artifact.manifest_file import is_artefact
from lprc.compiler.project.state import States
from lprc.core.files.removal import remove_folder


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
            remove_folder(root, place)
            removed.append(place)
        elif path.exists():
            left.append(place)
        states.forget(name)
    return removed, left
