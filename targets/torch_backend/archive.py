"""Zip archives of torch's, written anew: without what a reader does not need."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path


def rewrite_archive(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Let `change` have each entry's name and bytes, and keep what it gives; None drops the entry.

    Entries keep their order; their dates go.
    """
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            changed = change(name, data)
            if changed is not None:
                archive.writestr(zipfile.ZipInfo(name), changed)
