"""Run a module as ``python -m`` does, with this lprc and without the current folder.

    python run_module.py FOLDER MODULE [ARGUMENT…]

FOLDER is that of the package ``lprc`` which started this process: installed, editable, a checkout,
or found by a path that only that process has. It is a file to run and not a module, because ``-m``
imports from the current folder before anything could forbid it, and Python 3.10 has no ``-P``.
"""

from __future__ import annotations

import os
import runpy
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def main() -> None:
    """Run what the command line says."""
    # Python puts this file's folder first; what lies here has names of its own in lprc.
    beside = os.path.realpath(Path(__file__).parent)
    sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) != beside]
    package, module, *arguments = sys.argv[1:]
    _load_lprc(Path(package))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _load_lprc(folder: Path) -> None:
    """Import ``lprc`` from `folder`; the folder around it may hold more, and stays off the path."""
    spec = spec_from_file_location(
        "lprc", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert isinstance(spec, ModuleSpec)
    assert spec.loader is not None
    package = module_from_spec(spec)
    sys.modules["lprc"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    main()
