"""Command-line values as what the compiler takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lprc.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from lprc.compiler.compile.settings import VerifyMode
    from lprc.core.running.numerics import Arrays


def verify_mode(text: str) -> VerifyMode:
    """The choice that click has checked."""
    return cast("VerifyMode", text)


def check_runs(target: str, emit: str, options: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse to measure what can't run here, before any work.

    Raises:
        MissingDependencyError: What would be written runs on another machine only.
    """
    from lprc.compiler.compile.emitters import obstacle, read_options
    from lprc.core.targets.target import target as find_target

    if emit != "engine":  # the lowered graph is measured, in ONNX Runtime
        return
    goal = find_target(target)
    why = obstacle(goal, read_options(goal, options))
    if why is not None:
        raise MissingDependencyError(
            f"nothing can be measured: {why}",
            where="--data and --bench",
            hint="leave them out, or use --emit onnx, which measures the lowered graph",
        )


def calibration_samples(
    place: Path | None, task: str | None, model: Path
) -> Sequence[Arrays] | None:
    """The samples in `place`: preprocessed images, or arrays; None for no place.

    Raises:
        DataError: Files that can't be read, or a model that does not take them.
    """
    if place is None:
        return None
    from lprc.compiler.compile.samples import samples_of
    from lprc.core.onnx_io.model_io import load
    from lprc.core.tasks.task_file import task_choice

    return samples_of(load(model), str(model), place, task_choice(task))
