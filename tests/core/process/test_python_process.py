"""Python as lprc starts it: which lprc, and which folders it imports from."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from processes import run

from lprc.core.process.python_process import module_command, module_environment

ROOT = Path(__file__).parents[3]

TELLS = """
import json, sys
import lprc.core.process.worker as worker
print(json.dumps({"lprc": worker.__file__, "path": sys.path, "argv": sys.argv, "name": __name__}))
"""
STARTS = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
from lprc.core.process.python_process import module_command, module_environment
subprocess.run(module_command("tells", "a b"), env=module_environment(), check=True)
"""


@pytest.fixture
def tells(tmp_path):
    """A folder with a module that tells how it was started."""
    (tmp_path / "tells.py").write_text(TELLS)
    return tmp_path


@pytest.fixture
def told(tells):
    """What the module tells when a process that has lprc from a folder starts it."""

    def start(folder=ROOT, flags=(), **more):
        (tells / "starts.py").write_text(STARTS)
        command = [sys.executable, *flags, tells / "starts.py", folder]
        done = run(command, environment={"PYTHONPATH": str(tells)}, **more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return start


def test_it_is_run_as_python_dash_m_would(told, tells):
    document = told()
    assert document["name"] == "__main__"
    assert document["argv"] == [str(tells / "tells.py"), "a b"]


def test_it_has_the_lprc_of_whoever_starts_it(told, tmp_path):
    """Also where only that one knows where it is; what lies beside stays off the path."""
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "lprc").symlink_to(ROOT / "lprc")
    document = told(tmp_path / "copy")
    assert document["lprc"] == str(tmp_path / "copy" / "lprc" / "core" / "process" / "worker.py")
    assert str(tmp_path / "copy") not in document["path"]
    assert not [folder for folder in document["path"] if folder.endswith("core/process")]


def test_a_full_path_leads_and_the_current_folder_is_absent(told, tells, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    document = told(cwd=here)
    assert document["path"][0] == str(tells)
    assert not {"", str(here)}.intersection(document["path"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), (":", None), (".:a::../b", None), (":/a:b:/c", "/a:/c"), ("/a", "/a")],
)
def test_only_full_paths_are_handed_on(monkeypatch, text, expected):
    monkeypatch.setenv("PYTHONPATH", text)
    environment = module_environment({"MORE": "1"})
    assert environment.get("PYTHONPATH") == expected
    assert environment == {**environment, "MORE": "1", "PATH": os.environ["PATH"]}


@pytest.mark.parametrize("flags", [["-I"], ["-E"], ["-s"], []])
def test_what_python_was_told_to_ignore_stays_ignored(flags):
    code = "from lprc.core.process.python_process import *; print(*module_command('m'), sep='\\n')"
    command = run([sys.executable, *flags, "-c", code]).stdout.splitlines()
    inherited = {"-I": ["-E", "-s"]}.get(*flags, flags) if flags else []
    assert command[1:-3] == inherited
    assert command[-1] == module_command("m")[-1] == "m"
