"""Names of files that come from elsewhere."""

from __future__ import annotations

LONGEST = 255
"""Bytes of a file's name on the file systems in use."""


def is_plain_name(name: object) -> bool:
    """Whether `name` is one that a file in a folder can have, and leads nowhere else."""
    if not isinstance(name, str) or name in ("", ".", ".."):
        return False
    if not name.isprintable() or "/" in name or "\\" in name:
        return False
    return len(name.encode()) <= LONGEST


def is_inner_path(path: object) -> bool:
    """Whether `path` is relative and stays in its folder, each part being a plain name."""
    return isinstance(path, str) and all(map(is_plain_name, path.split("/")))
