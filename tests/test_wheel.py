"""The wheel holds every module and data file, under the names that they are imported by."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINKED = ("models", "passes", "targets")
DATA = (
    "*.py",
    "*.toml",
    "*.onnx",
    "*.LICENSE",
    "*.jpg",
    "labels.csv",
    "py.typed",
    "*.json",
    "*.cpp",
    "*.cmake",
    "*.css",
    "*.js",
    "*.j2",
    "*.hpp",
    "CMakeLists.txt",
)


def expected() -> set[str]:
    found = set()
    for folder in ("lprc", *LINKED):
        prefix = Path("lprc") / folder if folder in LINKED else Path("lprc")
        for pattern in DATA:
            for path in (ROOT / folder).rglob(pattern):
                relative = path.relative_to(ROOT / folder)
                if folder != "lprc" or relative.parts[0] not in LINKED:
                    found.add((prefix / relative).as_posix())
    return found


def test_the_wheel_is_complete(tmp_path):
    # From a copy: what an earlier build left in build/ would go into the wheel.
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(".*", "build"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "--wheel-dir", tmp_path, source], check=True, capture_output=True, text=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected()
