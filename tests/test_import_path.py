"""Which folders stay on `sys.path` when lprc starts."""

from __future__ import annotations

import os
import site
import sys

import pytest

from lprc._import_path import leave_current_folder


@pytest.fixture
def leave(tmp_path, monkeypatch):
    """Leave a current folder with a path, an environment and a PYTHONPATH; what is left of it."""
    packages, here = tmp_path / "site-packages", tmp_path / "here"
    packages.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(packages)])
    monkeypatch.setattr(site, "ENABLE_USER_SITE", False)

    def call(path, *, python_path="", pth=None):
        monkeypatch.setenv("PYTHONPATH", python_path.format(here=here))
        if pth is not None:
            (packages / "editable.pth").write_text(pth.format(here=here))
        folders = {"here": str(here), "packages": str(packages), "above": str(tmp_path)}
        names = {folder: name for name, folder in folders.items()}
        monkeypatch.setattr(sys, "path", [folders.get(entry, entry) for entry in path])
        left_out = leave_current_folder()
        return [names.get(entry, entry) for entry in sys.path], left_out

    return call


@pytest.mark.parametrize(
    ("path", "options", "rest", "left_out"),
    [
        (["here", "/lib", "packages"], {}, ["/lib", "packages"], []),
        (["", "/lib", "packages"], {}, ["/lib", "packages"], []),
        (["/bin", "/lib", "packages"], {}, ["/bin", "/lib", "packages"], []),
        # PYTHONPATH, as Python made it absolute.
        (["here", "/lib"], {"python_path": ":/other"}, ["/lib"], []),
        (["above", "/lib"], {"python_path": ".."}, ["/lib"], [".."]),
        (["here", "/lib"], {"python_path": "../here"}, ["/lib"], ["../here"]),
        (["here", "/lib"], {"python_path": "{here}"}, ["here", "/lib"], []),
        (["here", "/lib"], {"python_path": ".:{here}/"}, ["here", "/lib"], ["."]),
        # An editable installation of what the current folder holds.
        (["here", "/lib", "packages", "here"], {"pth": "{here}"}, ["/lib", "packages", "here"], []),
        (["here", "/lib", "packages"], {"pth": "../here\n"}, ["/lib", "packages", "here"], []),
        (["here", "/lib", "packages"], {"pth": "# {here}\nimport os\n\n"}, ["/lib", "packages"], []),
        # Who stands among the packages still has them.
        (["above", "packages", "here"], {"python_path": "../site-packages"},
         ["above", "packages"], ["../site-packages"]),
    ],
)  # fmt: skip
def test_what_stays(leave, path, options, rest, left_out):
    assert leave(path, **options) == (rest, left_out)


def test_a_current_folder_that_is_gone(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(sys, "path", ["/lib"])
    assert leave_current_folder() == []
    assert sys.path == ["/lib"]
    os.chdir(tmp_path)
