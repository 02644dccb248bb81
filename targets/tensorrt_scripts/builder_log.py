"""TensorRT's logger while it builds. Stands alone: it is copied into kits."""

from __future__ import annotations

import re
import sys
from typing import Any

LEVELS = {"quiet": 0, "warning": 2, "info": 3, "verbose": 4}
"""By verbosity, the greatest of TensorRT's severities that is shown."""

_KNOWN = re.compile(r" *\(foreignNode\) Converting conv (activation|weight) scales to fp32")
"""The warning that TensorRT-RTX gives of every float16 scale, and does without any loss."""

_MEMORY = re.compile(r"Total (Weights|Activation) Memory: (\d+) bytes")


def make_log(trt: Any, verbosity: str) -> Any:
    """The one logger of this process; it keeps errors, warnings, memory and the list of layers.

    Args:
        trt: The vendor's module.
        verbosity: One of `LEVELS`.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []
            self.layers: list[str] = []
            self.memory: dict[str, int] = {}

        def log(self, severity: Any, message: str) -> None:
            level = int(severity)
            if level <= 1:
                self.errors.append(message)
            elif level == LEVELS["warning"]:
                if not _KNOWN.match(message):
                    self.warnings.append(message.strip())
            elif message.startswith("Layers:"):
                # Not splitlines, which takes the separators within metadata for ends of lines.
                self.layers = message.split("\n")[1:]
            elif match := _MEMORY.match(message):
                self.memory[f"{match[1].lower()}_bytes"] = int(match[2])
            if level <= LEVELS[verbosity]:
                print(message, file=sys.stderr)

    return Log()
