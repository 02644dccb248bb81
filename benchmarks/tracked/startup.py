"""What a user waits for before anything is compiled."""

from __future__ import annotations

import subprocess
import sys
import tempfile


class Startup:
    """Processes, from an empty folder; the first of them compiles bytecode and does not count."""

    timeout = 60
    warmup_time = 0
    number = 1
    repeat = (5, 15, 20.0)

    def setup(self) -> None:
        """An empty folder, and bytecode."""
        self.folder = tempfile.TemporaryDirectory()
        self.time_help()
        self.time_import()

    def teardown(self) -> None:
        """The folder goes."""
        self.folder.cleanup()

    def time_import(self) -> None:
        """``import lprc``, with Python's own start."""
        self._run("-c", "import lprc")

    def time_help(self) -> None:
        """``lprc --help``."""
        self._run("-m", "lprc", "--help")

    def time_passes(self) -> None:
        """``lprc passes``, which reads every pass."""
        self._run("-m", "lprc", "passes")

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, *arguments], cwd=self.folder.name, check=True, capture_output=True
        )
