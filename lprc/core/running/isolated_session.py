"""Graphs run by ONNX Runtime in a process that may crash, hang or run out of memory."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from lprc.core.graph.crash_search import guilty_node
from lprc.core.onnx_io.model_io import to_bytes
from lprc.core.process.warm_child import VENDOR, ChildError, RefusedError, time_limit
from lprc.core.running.numerics import Arrays, RunError

_CHILD = "lprc.core.running.ort_child"

_GONE: deque[tuple[int, int]] = deque()
"""Sessions that nobody holds any more, by number and process; the next load tells the process."""


def _taken() -> Iterator[tuple[int, int]]:
    while _GONE:
        yield _GONE.popleft()


class IsolatedSession:
    """A `lprc.core.running.numerics.Session` in the process of `lprc.core.process.warm_child`.

    Args:
        model: The graph, its bytes, or its file (for graphs of more than 2 GB).
        optimize: Whether ORT may rewrite the graph.
        threads: ORT's threads within one operator.

    Raises:
        RunError: ONNX Runtime refuses the graph, or crashed on it, or took too long.
    """

    def __init__(
        self, model: ir.Model | bytes | Path, *, optimize: bool = False, threads: int = 1
    ) -> None:
        self._data = to_bytes(model) if isinstance(model, ir.Model) else model
        self._how = (optimize, threads)
        loaded = self._load()
        self.input_names: list[str] = loaded["inputs"]
        self.output_names: list[str] = loaded["outputs"]

    def run(self, inputs: Arrays, seconds: float | None = None) -> dict[str, NDArray[Any]]:
        """Run the graph once, within `seconds` or the limit of every call.

        Raises:
            RunError: ONNX Runtime fails on it, or crashed on it, or took too long.
        """
        VENDOR.start()
        if self._generation != VENDOR.generation:  # the process that had it is gone
            self._load()
        outputs: dict[str, NDArray[Any]] = self._called("run", seconds, self._number, dict(inputs))
        return outputs

    def run_within(self, inputs: Arrays, seconds: float) -> dict[str, NDArray[Any]]:
        """As `run`, where the time is no option."""
        return self.run(inputs, seconds)

    def _load(self) -> Any:
        in_memory = isinstance(self._data, bytes)
        model, path = (self._data, None) if in_memory else (None, str(self._data))
        gone = [number for number, generation in _taken() if generation == VENDOR.generation]
        loaded = self._called("load", None, model, path, *self._how, gone)
        self._number, self._generation = loaded["number"], VENDOR.generation
        weakref.finalize(self, _GONE.append, (self._number, self._generation))
        return loaded

    def _called(self, function: str, seconds: float | None, *arguments: Any) -> Any:
        try:
            limit = None if seconds is None else min(seconds, time_limit())
            return VENDOR.call(f"{_CHILD}:{function}", *arguments, limit=limit)
        except RefusedError as error:
            raise RunError(error.text) from error
        except ChildError as error:
            inputs = arguments[1] if function == "run" else None
            culprit = self._culprit(inputs, error)
            place = "" if culprit is None else f" in {culprit}"
            raise RunError(f"ONNX Runtime {error.message}{place}", hint=error.hint) from error

    def _culprit(self, inputs: Arrays | None, error: ChildError) -> str | None:
        """The node on which it ended; None where it can't be told."""
        if not isinstance(self._data, bytes):
            return None

        def work(part: bytes, seconds: float) -> None:
            loaded = VENDOR.call(f"{_CHILD}:load", part, None, *self._how, [], limit=seconds)
            if inputs is not None:
                wanted = {name: inputs[name] for name in loaded["inputs"] if name in inputs}
                VENDOR.call(f"{_CHILD}:run", loaded["number"], wanted, limit=seconds)

        return guilty_node(self._data, work, expired=error.expired)
