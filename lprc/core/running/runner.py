"""What a runtime is asked for, and what it gives: a loaded model, by input and output name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lprc.core.running.numerics import Arrays


@dataclass(frozen=True)
class OpenJob:
    """A model file to load.

    Attributes:
        path: The file.
        threads: CPU threads; None for the runtime's default.
        report: What the file's emitter said of it, as in the manifest; empty for a bare file.
        streams: How many runs at once it is asked for, each with that many threads; None for one
            that is to run as the file is, to be measured. What can't has no `streams` of its own.
        batch: What every run will have; None where it varies.
    """

    path: Path
    threads: int | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    streams: int | None = None
    batch: int | None = None


class Runs(Protocol):
    """Something that runs on inputs."""

    def run(self, inputs: Arrays, /) -> dict[str, NDArray[Any]]:
        """Run it once; outputs by name.

        Raises:
            RunError: It fails on them.
        """


class Runner(Runs, Protocol):
    """A loaded model.

    Attributes:
        inputs: Input names with their shapes; None for a symbolic dimension.
        dtypes: Input names with their element types; ``object`` for one that numpy does not have.
        outputs: Output names.
    """

    inputs: dict[str, tuple[int | None, ...]]
    dtypes: dict[str, np.dtype[Any]]
    outputs: list[str]

    def bound(self, inputs: Arrays) -> Callable[[], object]:
        """A function without arguments that runs it on `inputs`, for timing."""


def runs_at_once(runner: Runner) -> int:
    """How many threads may call `run` at once: its attribute ``streams``, else one."""
    return int(getattr(runner, "streams", 1))


Opener = Callable[[OpenJob], Runner]
"""Loads a file; raises `LprcError` where it can't."""
