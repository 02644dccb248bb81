"""What would be published: an archive and a wheel that indexes take and that work elsewhere."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import try_wheel
from processes import run

import lprc

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {
    *("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "PKG-INFO"),
    *("README.md", "SECURITY.md", "constraints.txt", "pyproject.toml", "setup.cfg"),
    *("lprc", "lprc.egg-info", "models", "passes", "targets"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "check", [("twine", "check", "--strict"), ("check_wheel_contents",)], ids=lambda check: check[0]
)
def test_indexes_take_them(check, distributions):
    files = [distributions.wheel, *([distributions.archive] if check[0] == "twine" else [])]
    done = run([sys.executable, "-m", *check, *files])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_archive_holds_what_builds_the_wheel_and_says_what_it_is(distributions):
    with tarfile.open(distributions.archive) as archive:
        names = [Path(name).parts for name in archive.getnames()]
    assert {parts[0] for parts in names} == {f"lprc-{lprc.__version__}"}
    assert {parts[1] for parts in names if len(parts) > 1} == TOP_LEVEL


@pytest.mark.slow
def test_the_wheel_says_its_version_and_licence(distributions):
    with zipfile.ZipFile(distributions.wheel) as wheel:
        (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(wheel.read(metadata).decode())
    assert fields["Version"] == lprc.__version__
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields["License-File"] == "LICENSE"


@pytest.mark.slow
def test_the_wheel_works_in_a_clean_environment_from_another_folder(distributions, tmp_path):
    packages = [Path(folder) for folder in sys.path if folder.endswith("site-packages")]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    python = try_wheel.environment_beside(
        packages, distributions.wheel, tmp_path / "environment", _run
    )
    printed = try_wheel.use(python, elsewhere, _run)
    assert Path(printed["models"]).is_relative_to(tmp_path / "environment")
    assert printed["version"].startswith(f"lprc, version {lprc.__version__}\n")
    assert "agreement with the source" in printed["compile"]
    assert re.search(r"000\.jpg: \w+ 0\.\d\d", printed["run"])


def test_the_version_stands_in_one_place():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [lprc.__version__]
    assert "version = attr: lprc._version.__version__" in (ROOT / "setup.cfg").read_text("utf-8")


def _run(command, folder):
    done = run(command, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
