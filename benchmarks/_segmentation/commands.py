"""``lprc`` commands that are run once: what they wrote is there the next time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def lprc(*arguments: str | Path) -> str:
    """What a command prints; it is told on stderr before it runs.

    Raises:
        SystemExit: The command failed.
    """
    words = [str(argument) for argument in arguments]
    print("$ lprc", *words, file=sys.stderr, flush=True)
    command = [str(Path(sys.executable).with_name("lprc")), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"lprc {' '.join(words)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def document(*arguments: str | Path) -> Any:
    """The JSON document that a command prints with ``--json``."""
    return json.loads(lprc(*arguments, "--json"))


def once(output: Path, arguments: Sequence[str | Path]) -> Path:
    """`output`, made by a command unless it is there."""
    if not output.exists():
        lprc(*arguments)
    return output
