"""What asv times over commits: it finds it all, and it runs in the environment of the tests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository of its own for asv, which writes a list of what it has found."""
    folder = tmp_path_factory.mktemp("asv")
    shutil.copy(ROOT / "asv.conf.json", folder)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "benchmarks", folder / "benchmarks", ignore=ignore)
    author = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run(["git", *author, *command], cwd=folder, check=True, capture_output=True)
    return folder


def asv(*arguments, cwd):
    return run(
        [sys.executable, "-m", "asv", *arguments, "-E", f"existing:{sys.executable}"], cwd=cwd
    )


@pytest.mark.slow
def test_every_benchmark_is_well_formed(repository):
    done = asv("check", cwd=repository)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_they_run(repository):
    machine = run([sys.executable, "-m", "asv", "machine", "--yes"], cwd=repository)
    assert machine.returncode == 0, machine.stderr
    done = asv("run", "--quick", "--show-stderr", "--bench", "Startup|onnx|fold-bn", cwd=repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout
    assert re.search(r"startup\.Startup\.time_help\s+[\d.]+[±\d.]*\s*m?s", done.stdout), done.stdout


def test_the_configuration_names_what_is_there():
    text = (ROOT / "asv.conf.json").read_text(encoding="utf-8")
    configuration = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert (ROOT / configuration["benchmark_dir"] / "__init__.py").is_file()
    kept_out_of_git = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert "/build/" in kept_out_of_git
    folders = ("env_dir", "results_dir", "html_dir")
    assert all(configuration[name].startswith("build/") for name in folders)
