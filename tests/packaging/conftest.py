"""The source archive and the wheel, built once."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Distributions:
    """What `python -m build` made."""

    archive: Path
    wheel: Path


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Built as `make dist` does; from a copy, which the build may litter."""
    folder = tmp_path_factory.mktemp("distributions")
    ignore = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder / "source", symlinks=True, ignore=ignore)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist"]
    done = run([*command, folder / "source"])
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return Distributions(archive, wheel)
