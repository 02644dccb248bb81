"""Hand a lowered graph to its target's emitter, and check what comes back."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc.compiler.cache.emitted_files import emit_once
from lprc.compiler.compile.optimize import Optimized, Settings
from lprc.compiler.runners.open import Runner, make_runner, unavailable
from lprc.core.errors import MissingDependencyError, PromiseBrokenError, UsageError
from lprc.core.options import from_texts
from lprc.core.process.installed import is_installed
from lprc.core.running.numerics import Arrays, OutputDelta, Session, compare, rounding
from lprc.core.running.random_inputs import random_inputs
from lprc.core.targets.emitter import Emit, EmitJob, Emitted, Emitter, TargetOptions
from lprc.core.targets.runtimes import RUNTIMES
from lprc.core.targets.target import Target


def read_options(goal: Target, texts: Mapping[str, tuple[str, ...]]) -> TargetOptions:
    """The options of `goal` from their texts.

    Raises:
        UsageError: An option that the target does not have, or not with this value.
    """
    return from_texts(option_class(goal), texts, f"target '{goal.name}'")


def option_class(goal: Target) -> type[TargetOptions]:
    """The class of the target's options.

    Raises:
        UsageError: It can't be loaded.
    """
    if not goal.options:
        return TargetOptions
    found: type[TargetOptions] = _load(goal.options, f"target '{goal.name}'")
    return found


def require(goal: Target, options: TargetOptions, emit: Emit) -> None:
    """Refuse what can't be emitted here, before any work.

    Raises:
        UsageError: The target has no such emitter.
        MissingDependencyError: The target's SDK is not installed.
    """
    if emit == "onnx":
        return
    if not _place(goal, emit):
        known = "emitter" if emit == "engine" else "kit"
        raise UsageError(f"target '{goal.name}' has no {known}", hint="--emit onnx")
    options.check(emit)  # first, because it knows best what is missing
    if emit == "engine":
        for module in goal.requires:
            if not is_any_installed(module):
                _refuse_missing(goal, module)


def obstacle(goal: Target, options: TargetOptions) -> str | None:
    """Why this machine can't run the artefact, in one line; None where it can."""
    return options.obstacle() or unavailable(RUNTIMES[goal.runtime].backend)


def emit_artefact(
    model: ir.Model,
    goal: Target,
    source: Path,
    lowered: Path,
    emit: Emit,
    options: TargetOptions,
    settings: Settings,
    optimized: Optimized,
) -> tuple[Emitted, list[OutputDelta]]:
    """Translate `lowered` as far as `emit` says, and compare what runs here with it.

    Raises:
        PromiseBrokenError: The artefact's outputs are not the lowered graph's.
    """
    if emit == "onnx":
        return Emitted([]), []
    emitter: Emitter = _load(_place(goal, emit), f"target '{goal.name}'")
    inputs = settings.inputs or [random_inputs(model, seed=settings.seed, batch=1)]
    job = EmitJob(
        model=model,
        lowered=lowered,
        folder=lowered.parent,
        target=goal.name,
        source=str(source),
        options=options,
        inputs=inputs,
        tolerance=max(goal.tolerance, rounding(model)),
        skips={skip.node: skip.reason for record in optimized.records for skip in record.skips},
        progress=settings.progress,
    )
    emitted = emit_once(emitter, _place(goal, emit), job, settings.cache)
    if emit != "engine" or settings.verify == "off":
        return emitted, []
    why = obstacle(goal, options)
    if why is not None:
        return replace(emitted, warnings=[*emitted.warnings, f"not run: {why}"]), []
    backend = RUNTIMES[goal.runtime].backend
    runner = make_runner(emitted.files[0], backend, module=emitted.report.get("runtime"))
    return emitted, _compare(job, runner, emitted.inputs or job.inputs)


def _place(goal: Target, emit: Emit) -> str:
    return goal.kit if emit == "kit" else goal.emitter


def _refuse_missing(goal: Target, module: str) -> None:
    install = f"{goal.install}; or " if goal.install else ""
    raise MissingDependencyError(
        f"target '{goal.name}' needs {module.replace('|', ' or ')}",
        hint=f"{install}--emit onnx needs no SDK",
    )


def is_any_installed(modules: str) -> bool:
    """Whether one of ``a|b``, as of `Target.requires`, is installed."""
    return any(map(is_installed, modules.split("|")))


def _load(place: str, where: str) -> Any:
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"can't load '{place}': {error}", where=where) from error


def _compare(job: EmitJob, runner: Runner, inputs: Sequence[Arrays]) -> list[OutputDelta]:
    """How far the artefact's outputs are from the lowered graph's.

    Raises:
        PromiseBrokenError: Farther than the target allows.
    """
    reference = Session(job.model)
    pairs: list[tuple[Arrays, Arrays]] = [
        (reference.run(each), runner.run(each)) for each in inputs
    ]
    deltas = _over_all([compare(wanted, found) for wanted, found in pairs])
    bad = [delta for delta in deltas if not delta.within(job.tolerance)]
    if bad:
        raise PromiseBrokenError(
            f"the artefact's outputs are not the lowered graph's: {'; '.join(map(str, bad[:3]))}",
            where=f"target '{job.target}'",
            hint="--emit onnx keeps the lowered graph to look at",
        )
    return deltas


def _over_all(runs: Sequence[Sequence[OutputDelta]]) -> list[OutputDelta]:
    """Each output's differences over several runs, as one."""
    by_name: dict[str, list[OutputDelta]] = {}
    for delta in (delta for deltas in runs for delta in deltas):
        by_name.setdefault(delta.name, []).append(delta)
    return [
        replace(
            found[0],
            max_abs=max(delta.max_abs for delta in found),
            mean_abs=sum(delta.mean_abs for delta in found) / len(found),
            magnitude=max(delta.magnitude for delta in found),
            mismatch=next((delta.mismatch for delta in found if delta.mismatch), None),
        )
        for found in by_name.values()
    ]
