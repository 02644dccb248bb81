"""How lprc starts Python for modules of its own and of plug-ins."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from lprc._import_path import absolute_entries
from lprc.core.process import run_module


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module, with this lprc, wherever that was imported from.

    Start it with `module_environment`. It finds what Python finds by itself in any folder: the
    standard library, the environment's packages, and absolute entries of ``PYTHONPATH``; not those
    where we were told not to, by ``python -E``, ``-s`` or ``-I``.
    """
    flags = {"-E": sys.flags.ignore_environment, "-s": sys.flags.no_user_site}
    package = Path(__file__).absolute().parents[2]
    script = Path(run_module.__file__).absolute()
    handed_on = [flag for flag, is_set in flags.items() if is_set]
    return [sys.executable, *handed_on, str(script), str(package), module, *arguments]


def module_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment with variables besides, and a ``PYTHONPATH`` of full paths only.

    Relative and empty entries would name other folders there than here.
    """
    environment = {**os.environ, **(more or {})}
    entries = absolute_entries(environment.pop("PYTHONPATH", ""))
    if entries:
        environment["PYTHONPATH"] = os.pathsep.join(entries)
    return environment
