"""The command line. Each command is one file here and is imported when it is called."""

from __future__ import annotations

from lprc.cli.root import main

__all__ = ["main"]
