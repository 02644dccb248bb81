"""The command line. Each command is one file here and is imported when it is called."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lprc._import_path import leave_current_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit, as of `lprc.cli.root`.

    As a program (without `arguments`) it first leaves the current folder, where a ``numpy.py`` of
    anybody's may lie: before anything is imported that is not lprc's.
    """
    left_out = leave_current_folder() if arguments is None else []
    from lprc.cli import root

    for entry in left_out:
        text = f"PYTHONPATH: '{entry}' is left out; write it in full, from the root folder on"
        print(f"warning: {text}", file=sys.stderr)
    root.main(arguments)
