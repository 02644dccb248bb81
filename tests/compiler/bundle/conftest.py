"""One bundle for DeepStream for all tests of this folder, with its parsers compiled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from nvinfer_parsers import Harness, compiled
from stage_cases import PIPELINE


@pytest.fixture(scope="session")
def pipeline_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of the shipped detector and reader."""
    path = tmp_path_factory.mktemp("pipeline") / "pipeline.toml"
    path.write_text(PIPELINE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def deepstream(pipeline_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle for DeepStream."""
    from lprc.compiler.bundle.write import bundle

    out = tmp_path_factory.mktemp("bundles") / "deepstream"
    bundle(pipeline_file, "deepstream", out, streams=2, frame=(640, 360))
    return out


@pytest.fixture(scope="session")
def compilers() -> None:
    """CMake and g++."""
    missing = [name for name in ("cmake", "g++") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} on PATH")


@pytest.fixture(scope="session")
def harness_file(compilers: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the harness of parsers is, once it is compiled."""
    return tmp_path_factory.mktemp("harness") / "harness.so"


@pytest.fixture(scope="session")
def parsers(
    deepstream: Path, harness_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Harness:
    """The bundle's parsers, compiled."""
    return compiled(deepstream, tmp_path_factory.mktemp("build"), harness_file)
