"""Which folders Python may import from: those that the environment or somebody's full path names.

The current folder holds whatever a user downloaded. A ``numpy.py`` there, or in a folder that a
relative or empty entry of ``PYTHONPATH`` makes of it, would run instead of the package.
"""

from __future__ import annotations

import os
import site
import sys


def absolute_entries(python_path: str) -> list[str]:
    """The entries of a ``PYTHONPATH`` that are absolute, in their order."""
    return [entry for entry in python_path.split(os.pathsep) if os.path.isabs(entry)]


def leave_current_folder() -> list[str]:
    """Take off ``sys.path`` what only the current folder puts there; for programs, at their start.

    That is the current folder itself, which ``python -m`` puts first, and what relative and empty
    entries of ``PYTHONPATH`` stand for. What ``PYTHONPATH`` names by a full path stays. What the
    environment names in a ``.pth`` file, as an editable installation does, stays too, behind the
    environment's packages, where Python puts it.

    Returns:
        The relative entries of ``PYTHONPATH``, for a warning; without empty ones.
    """
    text = "" if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "")
    absolute = absolute_entries(text)
    relative = [entry for entry in text.split(os.pathsep) if entry not in absolute]
    try:
        current = os.getcwd()
    except OSError:  # it is gone, and nothing lies in it
        return []
    # An empty variable counts as none.
    unwanted = {"", current, *(os.path.abspath(entry) for entry in relative if text)}
    unwanted -= {os.path.normpath(entry) for entry in absolute}
    present = unwanted.intersection(sys.path)
    if present:
        sys.path[:] = [folder for folder in sys.path if folder not in present]
        sys.path += [folder for folder in _environment_folders() if folder in present]
    return [entry for entry in relative if entry]


def _environment_folders() -> list[str]:
    """The environment's folders of packages, and those that ``.pth`` files in them name."""
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    named = [path for folder in folders for path in _named_in_pth_files(folder)]
    return list(dict.fromkeys([*folders, *named]))


def _named_in_pth_files(folder: str) -> list[str]:
    """The folders that the ``.pth`` files in `folder` name, as of Python's module ``site``."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".pth"))
    except OSError:
        return []
    paths = []
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8-sig", errors="replace") as stream:
            paths += [line.rstrip() for line in stream if _names_folder(line)]
    return [os.path.abspath(os.path.join(folder, path)) for path in paths]


def _names_folder(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(("#", "import ", "import\t"))
