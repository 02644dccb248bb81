"""The wheel holds every module and data file, under the names that they are imported by."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
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
    names = set()
    for folder in ("lprc", *LINKED):
        prefix = Path("lprc") / folder if folder in LINKED else Path("lprc")
        for pattern in DATA:
            for path in (ROOT / folder).rglob(pattern):
                relative = path.relative_to(ROOT / folder)
                if folder != "lprc" or relative.parts[0] not in LINKED:
                    names.add((prefix / relative).as_posix())
    return names


def test_the_wheel_is_complete(distributions):
    members = zipfile.ZipFile(distributions.wheel).namelist()
    assert {name for name in members if ".dist-info/" not in name} == expected()
