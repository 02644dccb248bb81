"""Build CMake projects in folders of their own, with one cache for all of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

GENERATORS = {"Ninja": "ninja", "Unix Makefiles": "make"}
PLATES = Path(__file__).parents[2] / "models"


@dataclass(frozen=True)
class Project:
    """A CMake project.

    Attributes:
        source: Its folder.
        build: Its build folder.
        generator: What builds it.
        environment: Of every command.
    """

    source: Path
    build: Path
    generator: str
    environment: dict[str, str]

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def configure(self, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        folder = self.run(sys.executable, "-m", "lprc", "--cmake-dir").stdout.strip()
        program = shutil.which("lprc", path=str(Path(sys.executable).parent))
        found = [f"-Dlprc_DIR={folder}", f"-DLPRC_EXECUTABLE={program}"]
        places = ["-S", self.source, "-B", self.build, "-G", self.generator]
        return self.run("cmake", *places, *found, *options, check=check)

    def make(self, *options: str) -> str:
        """What it did, as text."""
        return self.run("cmake", "--build", self.build, *options).stdout

    def compiled(self, *options: str) -> list[str]:
        """The artefacts that it compiled, sorted."""
        lines = self.make(*options).splitlines()
        found = [line.partition("Compiling ")[2] for line in lines]
        return sorted(text.split()[0] for text in found if text)


@pytest.fixture(scope="session")
def environment(tmp_path_factory) -> dict[str, str]:
    """One warm cache: what is tested is which commands run."""
    if shutil.which("lprc", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("lprc is not installed beside this Python")
    kept = {key: value for key, value in os.environ.items() if key != "LPRC_NO_CACHE"}
    kept["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), kept["PATH"]))
    return {**kept, "LPRC_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture
def project(tmp_path, environment, request) -> Project:
    """The project beside this file, with a copy of the bundled model and of nine plates."""
    generator = getattr(request, "param", "Ninja")
    for tool in ("cmake", GENERATORS[generator], "c++"):
        if shutil.which(tool, path=environment["PATH"]) is None:
            pytest.skip(f"no {tool}")
    source = tmp_path / "so urce"
    shutil.copytree(Path(__file__).parent / "project", source)
    shutil.copy(PLATES / "lprnet_synthetic.onnx", source / "lprnet.onnx")
    shutil.copy(PLATES / "synthetic.toml", source / "plates.toml")
    (source / "calib").mkdir()
    for image in sorted((PLATES / "synthetic_plates" / "calib").glob("*.jpg"))[:9]:
        shutil.copy(image, source / "calib")
    return Project(source, tmp_path / "build", generator, environment)
