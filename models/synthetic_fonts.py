"""The fonts that synthetic plates are drawn with, and where they are looked for."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from lprc.core.errors import MissingDependencyError

FONT_FILES = (
    "DejaVuSans-Bold.ttf",
    "DejaVuSansMono-Bold.ttf",
    "LiberationSans-Bold.ttf",
    "LiberationMono-Bold.ttf",
)
"""All are required: the same seed must draw the same plates."""

INSTALL_HINT = "apt-get install fonts-dejavu-core fonts-liberation"


def font_folders() -> tuple[Path, ...]:
    """Return the folders that are searched, in order: the user's, then the system's."""
    home = Path.home()
    folders = [home / ".local/share/fonts", home / ".fonts"]
    if sys.platform == "darwin":
        folders += [home / "Library/Fonts", Path("/Library/Fonts")]
    elif sys.platform == "win32":
        folders += [Path("C:/Windows/Fonts")]
    folders += [Path("/usr/local/share/fonts"), Path("/usr/share/fonts")]
    return tuple(folders)


@cache
def find_font(file_name: str) -> Path:
    """Return the path of ``file_name``, searched for below each of ``font_folders``.

    Raises:
        MissingDependencyError: No folder has it; the hint names the packages to install.
    """
    for folder in font_folders():
        path = min(folder.rglob(file_name), default=None)
        if path is not None:
            return path
    raise MissingDependencyError(
        f"font {file_name} was not found below {', '.join(map(str, font_folders()))}",
        where="lprc.models.synthetic_fonts",
        hint=INSTALL_HINT,
    )
