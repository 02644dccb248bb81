"""A target's emitter: its options, whether it is here, and whether what it makes runs here."""

from __future__ import annotations

from collections.abc import Mapping

from lprc.core import registry
from lprc.core.errors import MissingDependencyError, UsageError
from lprc.core.options import from_texts
from lprc.core.process.installed import is_any_installed
from lprc.core.targets.emitter import Emit, Emitter, TargetOptions
from lprc.core.targets.runtimes import runtime
from lprc.core.targets.target import Target


def read_options(goal: Target, texts: Mapping[str, tuple[str, ...]]) -> TargetOptions:
    """The options of `goal` from their texts.

    Raises:
        UsageError: An option that the target does not have, or not with this value.
    """
    return from_texts(goal.option_class(), texts, f"target '{goal.name}'")


def require(goal: Target, options: TargetOptions, emit: Emit) -> None:
    """Refuse what can't be emitted here, before any work.

    Raises:
        UsageError: The target has no such emitter.
        MissingDependencyError: The target's SDK is not installed.
    """
    if emit == "onnx":
        return
    if not emitter_place(goal, emit):
        missing = "emitter" if emit == "engine" else "kit"
        raise UsageError(f"target '{goal.name}' has no {missing}", hint="--emit onnx")
    options.check(emit)  # first, because it knows best what is missing
    if emit == "engine":
        for module in goal.requires:
            if not is_any_installed(module):
                _refuse_missing(goal, module)


def obstacle(goal: Target, options: TargetOptions) -> str | None:
    """Why this machine can't run the artefact, in one line; None where it can."""
    return options.obstacle() or runtime(goal.runtime).obstacle()


def emitter_place(goal: Target, emit: Emit) -> str:
    """Where the function is that emits as far as `emit` says: ``module:function``, or empty."""
    return goal.kit if emit == "kit" else goal.emitter


def load_emitter(goal: Target, emit: Emit) -> Emitter:
    """That function.

    Raises:
        UsageError: It can't be loaded.
    """
    emitter: Emitter = registry.load_place(emitter_place(goal, emit), f"target '{goal.name}'")
    return emitter


def _refuse_missing(goal: Target, module: str) -> None:
    install = f"{goal.install}; or " if goal.install else ""
    raise MissingDependencyError(
        f"target '{goal.name}' needs {module.replace('|', ' or ')}",
        hint=f"{install}--emit onnx needs no SDK",
    )
