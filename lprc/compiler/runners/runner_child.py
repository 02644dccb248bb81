"""Runtimes in the child process of `lprc.compiler.runners.isolated_runner`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from lprc.core.errors import LprcError
from lprc.core.running.numerics import Arrays
from lprc.core.running.runner import OpenJob, Runner
from lprc.core.targets.runtimes import runtime

_RUNNERS: dict[int, Runner] = {}
_NUMBERS = count()


def open_model(
    runtime_name: str, path: str, threads: int | None, report: Mapping[str, Any], gone: list[int]
) -> dict[str, Any]:
    """Load a file; its number, or what is wrong with it.

    Args:
        runtime_name: What loads it.
        path: The file.
        threads: As of `OpenJob`.
        report: As of `OpenJob`.
        gone: Models that nobody wants any more, by number.
    """
    for number in gone:
        _RUNNERS.pop(number, None)
    try:
        runner = runtime(runtime_name).open(OpenJob(Path(path), threads, report))
    except LprcError as error:
        return {"refused": type(error).__name__, "message": error.message, "hint": error.hint}
    number = next(_NUMBERS)
    _RUNNERS[number] = runner
    return {"number": number}


def run(number: int, inputs: Arrays) -> dict[str, Any]:
    """The outputs of a loaded model by name, or what is wrong."""
    try:
        return {"outputs": _RUNNERS[number].run(inputs)}
    except LprcError as error:
        return {"message": error.message, "hint": error.hint}
