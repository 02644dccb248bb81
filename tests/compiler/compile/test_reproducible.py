"""The same build gives the same bytes, wherever and however its process runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lprc.core.targets.target import target as find_target
from lprc.core.targets.target import target_names

ROOT = Path(__file__).parents[3]

MACHINES = {
    "one": {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC", "OMP_NUM_THREADS": "1"},
    "two/and a place with a longer näme": {
        "PYTHONHASHSEED": "4242", "LC_ALL": "C.utf8", "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "2",
        "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "40",
    },
}  # fmt: skip
"""Folders and environments that differ in what a build must not depend on."""


def build(
    folder: Path,
    target: str,
    environment: dict[str, str],
    model: Path,
    images: Path,
    cache: Path | None,
):
    """Compile copies of the inputs in a process of its own; the lowered graph and the manifest."""
    if cache is not None:
        environment = {**environment, "LPRC_NO_CACHE": "", "LPRC_CACHE_DIR": str(cache)}
    folder.mkdir(parents=True)
    shutil.copy(model, folder / "model.onnx")
    (folder / "calib").mkdir()
    # Another order in the directory, and other times.
    for image in sorted(images.glob("*.jpg"), reverse=len(folder.name) > 5)[:8]:
        shutil.copyfile(image, folder / "calib" / image.name)
    arguments = ["compile", "model.onnx", "--target", target, "--emit", "onnx", "-o", "out", "-q"]
    subprocess.run(
        [sys.executable, "-m", "lprc", *arguments, "--calib", "calib"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=True,
    )
    return {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}


def check(
    tmp_path: Path, target: str, model: Path, images: Path, caches: Path | None = None
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for image in sorted(images.glob("*.jpg"))[:8]:
        shutil.copy(image, few)
    first, second = (
        build(tmp_path / name, target, environment, model, few, caches and caches / name)
        for name, environment in MACHINES.items()
    )
    assert set(first) >= {"lowered.onnx", "manifest.json"}
    # Digests: pytest would look for what differs in two megabytes for minutes.
    lowered = [hashlib.sha256(each["lowered.onnx"]).hexdigest() for each in (first, second)]
    assert lowered[0] == lowered[1]
    manifests = [json.loads(each["manifest.json"]) for each in (first, second)]
    assert manifests[0] == manifests[1]  # which says where they differ
    assert list(first) == [name for name, data in second.items() if data == first[name]]
    assert str(tmp_path).encode() not in b"".join(first.values())


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """Of each machine its own: passes that begin several targets' pipelines run once on each."""
    return tmp_path_factory.mktemp("caches")


@pytest.mark.slow
@pytest.mark.parametrize("target", target_names())
def test_every_target(tmp_path, target, bundled, plates, caches):
    check(tmp_path, target, bundled, plates, caches)


def test_a_quantised_target(tmp_path, bundled, plates):
    """The one of the above that has most to get wrong, in every run of the suite."""
    assert find_target("ov-int8").name in target_names()
    check(tmp_path, "ov-int8", bundled, plates)
