"""Which files hold arrays, told without numpy: whoever finds a known compile reads no array."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = frozenset({".npy", ".npz"})


def array_files(place: Path) -> list[Path]:
    """The files of arrays that `place` is, or holds as a folder, sorted by name."""
    try:
        paths = [place] if place.is_file() else sorted(place.iterdir())
    except OSError:
        return []
    return [path for path in paths if path.suffix.lower() in SUFFIXES and not path.is_dir()]
