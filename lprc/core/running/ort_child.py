"""ONNX Runtime's sessions in the child process of `lprc.core.running.isolated_session`."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from lprc.core.running.numerics import Arrays, Session

_SESSIONS: dict[int, Session] = {}
_NUMBERS = count()


def load(
    model: bytes | None, path: str | None, optimize: bool, threads: int, gone: list[int]
) -> dict[str, Any]:
    """Load a graph, given as bytes or a file; its number, and the names of its inputs and outputs.

    Args:
        model: The graph's bytes; None for `path`.
        path: Its file.
        optimize: Whether ORT may rewrite the graph.
        threads: ORT's threads within one operator.
        gone: Graphs that nobody wants any more, by number.

    Raises:
        RunError: ONNX Runtime refuses it.
    """
    for number in gone:
        _SESSIONS.pop(number, None)
    data = Path(str(path)) if model is None else model
    session = Session(data, optimize=optimize, threads=threads)
    number = next(_NUMBERS)
    _SESSIONS[number] = session
    return {"number": number, "inputs": session.input_names, "outputs": session.output_names}


def run(number: int, inputs: Arrays) -> dict[str, Any]:
    """The outputs of a loaded graph by name.

    Raises:
        RunError: ONNX Runtime fails on it.
    """
    return _SESSIONS[number].run(inputs)
