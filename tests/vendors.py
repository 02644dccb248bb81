"""Stand-ins for vendors' Python modules, in front of the real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def put_in_front(monkeypatch: pytest.MonkeyPatch, folder: Path, **modules: str) -> None:
    """Write modules into `folder`, which processes that are started look through first.

    Args:
        monkeypatch: Takes it back.
        folder: A new folder.
        modules: The code of each, by name.
    """
    folder.mkdir()
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code)
    lead_path(monkeypatch, folder)


def lead_path(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Have processes that are started look through `folder` first."""
    entries = [str(folder), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, entries)))
