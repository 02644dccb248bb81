"""Model files run by their runtime in a process that may crash, hang or run out of memory."""

from __future__ import annotations

import weakref
from collections import deque
from typing import Any

from numpy.typing import NDArray

from lprc.core.errors import InvalidModelError, LprcError, MissingDependencyError
from lprc.core.process.warm_child import VENDOR, ChildError, RefusedError
from lprc.core.running.numerics import Arrays, RunError
from lprc.core.running.runner import OpenJob
from lprc.core.targets.runtimes import Runtime

_CHILD = "lprc.compiler.runners.runner_child"

_GONE: deque[tuple[int, int]] = deque()
"""Models that nobody holds any more, by number and process; the next load tells the process."""


class IsolatedRunner:
    """A model file in the process of `lprc.core.process.warm_child`.

    Args:
        runtime: What loads it.
        job: The file.

    Raises:
        InvalidModelError: The runtime can't load it, or crashed on it, or took too long.
        MissingDependencyError: The runtime can't be imported.
    """

    def __init__(self, runtime: Runtime, job: OpenJob) -> None:
        self._runtime, self._job = runtime, job
        self._load()

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name.

        Raises:
            RunError: It fails on them, or crashed, or took too long.
        """
        VENDOR.start()
        if self._generation != VENDOR.generation:  # the process that had it is gone
            self._load()
        try:
            reply = VENDOR.call(f"{_CHILD}:run", self._number, dict(inputs))
        except ChildError as error:
            raise RunError(f"{self._runtime.title} {error.message}", hint=error.hint) from error
        except RefusedError as error:
            raise RunError(f"{self._runtime.title} can't run it: {error.text}") from error
        if "message" in reply:
            raise RunError(reply["message"], hint=reply["hint"])
        outputs: dict[str, NDArray[Any]] = reply["outputs"]
        return outputs

    def _load(self) -> None:
        where = str(self._job.path)
        gone = []
        while _GONE:
            number, generation = _GONE.popleft()
            gone += [number] if generation == VENDOR.generation else []
        job = (where, self._job.threads, dict(self._job.report), gone)
        try:
            reply = VENDOR.call(f"{_CHILD}:open_model", self._runtime.name, *job)
        except ChildError as error:
            message = f"{self._runtime.title} {error.message}"
            raise InvalidModelError(message, where=where, hint=error.hint) from error
        if "message" in reply:
            missing = reply["refused"] == MissingDependencyError.__name__
            kind: type[LprcError] = MissingDependencyError if missing else InvalidModelError
            raise kind(reply["message"], where=where, hint=reply["hint"])
        self._number, self._generation = reply["number"], VENDOR.generation
        weakref.finalize(self, _GONE.append, (self._number, self._generation))
