"""Compile a model for a target: passes, legality, emitter, checks, manifest."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from lprc import __version__
from lprc.compiler.artifact import LOWERED, Artifact, open_artifact
from lprc.compiler.demands import Demands, check_artefact, find_layers
from lprc.compiler.guard import Guarded, guard
from lprc.compiler.manifest import is_artefact, manifest, write_manifest
from lprc.compiler.optimize import Optimized, Settings, optimize
from lprc.compiler.runners import make_runner
from lprc.compiler.sensitivity import Search
from lprc.core.atomic import atomic_folder
from lprc.core.errors import (
    AccuracyError,
    IllegalForTargetError,
    MissingDependencyError,
    PromiseBrokenError,
    UsageError,
)
from lprc.core.legality import check
from lprc.core.model_io import load, save
from lprc.core.numerics import OutputDelta, Session, compare, rounding
from lprc.core.pipeline import Pipeline
from lprc.core.quantization.already import Choice, refused
from lprc.core.quantization.recognise import quantized_form
from lprc.core.random_inputs import random_inputs
from lprc.core.runtimes import RUNTIMES
from lprc.core.target import Target
from lprc.core.target import target as find_target

Emit = Literal["onnx", "engine"]
Emitter = Callable[[Path, Path], list[Path]]


@dataclass(frozen=True)
class Compiled:
    """An artefact, and what was done to get there.

    Attributes:
        artifact: What was written.
        optimized: What the passes did.
        emitted: How far the artefact's outputs are from the lowered graph's.
        search: Which layers stay in float, where `Demands.max_drop` was given.
        guarded: The comparison with float32, where `Demands.guard` was given.
    """

    artifact: Artifact
    optimized: Optimized
    emitted: list[OutputDelta]
    search: Search | None = None
    guarded: Guarded | None = None


def compile_model(
    source: Path,
    target: str,
    out: Path,
    *,
    passes: str | None = None,
    then: str | None = None,
    emit: Emit = "engine",
    settings: Settings | None = None,
    demands: Demands | None = None,
    quantized: Choice = "refuse",
) -> Compiled:
    """Compile `source` for `target` into the folder `out`, which appears whole or not at all.

    Args:
        source: An ONNX file.
        target: The target's name.
        out: The folder for the artefact; an earlier artefact there is replaced.
        passes: Pipeline text instead of the target's own.
        then: Pipeline text to run behind it.
        emit: ``onnx`` stops at the lowered ONNX and needs no SDK.
        settings: How to run and verify the passes.
        demands: What else to ask of the artefact.
        quantized: What to do with a quantised model where the pipeline would quantise: refuse
            it, or keep its Q/DQ and leave those passes out.

    Raises:
        AccuracyError: The demands can't be met; nothing is written.
        MissingDependencyError: The target's SDK is not installed.
        IllegalForTargetError: The lowered graph breaks a rule of the target.
        UsageError: An unknown target, or one whose emitter is missing or can't be loaded.
        PromiseBrokenError: A pass or the emitter changed the outputs by more than it may.
        OutputError: `out` can't be written, or is a folder that lprc did not write.
    """
    settings, demands = settings or Settings(), demands or Demands()
    goal = find_target(target)
    _check_demands(demands, goal, emit)
    if emit == "engine":
        _require(goal)
    pipeline = Pipeline.parse(goal.pipeline if passes is None else passes)
    if then is not None:
        pipeline = Pipeline((*pipeline.passes, *Pipeline.parse(then).passes))
    model = load(source)
    pipeline = _for_quantized(model, pipeline, quantized, str(source))
    search = None
    if demands.max_drop is not None:
        search, pipeline = find_layers(
            model.clone(), pipeline, settings.calibration, demands, str(source)
        )
    guarded = None
    with atomic_folder(out, may_replace=is_artefact) as folder:
        optimized = optimize(model, pipeline, settings)
        _check_legality(model, goal, source)
        files, emitted = _write(model, goal, folder, emit, settings)
        document = manifest(source, goal, optimized, folder, files, emitted)
        if search is not None:
            document["accuracy_search"] = search.document()
        write_manifest(document, folder)
        if search is not None and emit == "engine":
            check_artefact(folder, search, demands)
        if demands.guard:
            guarded = _guard(source, goal, folder, settings, demands)
    return Compiled(open_artifact(out), optimized, emitted, search, guarded)


_QUANTIZING = ("adaround", "calibrate", "correct-bias", "insert-qdq", "quantize-weights")


def _for_quantized(model: ir.Model, pipeline: Pipeline, quantized: Choice, where: str) -> Pipeline:
    """The pipeline without what quantises, where `model` is quantised already.

    Raises:
        InvalidModelError: It is, and that is to be refused.
    """
    names = {item.name for item in pipeline.passes}
    if not names & {"insert-qdq", "quantize-weights"}:
        return pipeline
    found = quantized_form(model)
    if found is None:
        return pipeline
    if quantized == "refuse":
        raise refused(found, where)
    return Pipeline(tuple(item for item in pipeline.passes if item.name not in _QUANTIZING))


def _check_demands(demands: Demands, goal: Target, emit: Emit) -> None:
    if not demands.guard:
        return
    if emit != "engine":
        raise UsageError(
            "there is nothing to measure without an engine", where="--guard", hint="drop --emit"
        )
    if not goal.reference:
        raise UsageError(
            f"target '{goal.name}' has no float32 counterpart", where="--guard", hint="drop it"
        )


def _guard(
    source: Path, goal: Target, folder: Path, settings: Settings, demands: Demands
) -> Guarded:
    """Compare with the float32 target.

    Raises:
        AccuracyError: That one is the one to ship.
    """
    plain = replace(settings, verify="off", calibration=(), dump_dir=None, progress=None)
    found = guard(
        folder,
        goal.name,
        goal.reference,
        lambda other: compile_model(source, goal.reference, other, settings=plain),
        data=demands.data,
        config=demands.config,
        max_drop=demands.max_drop,
        progress=demands.progress,
    )
    if found.objections:
        raise AccuracyError(
            str(found), where="--guard", hint=f"compile with --target {goal.reference}"
        )
    return found


def _require(goal: Target) -> None:
    if not goal.emitter:
        raise UsageError(f"target '{goal.name}' has no emitter", hint="--emit onnx")
    install = f"{goal.install}; or " if goal.install else ""
    for module in goal.requires:
        if not _installed(module):
            raise MissingDependencyError(
                f"target '{goal.name}' needs {module}",
                hint=f"{install}--emit onnx needs no SDK",
            )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package that `module` would be in
        return False


def _emitter(goal: Target) -> Emitter:
    module, _, function = goal.emitter.partition(":")
    try:
        found: Emitter = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"can't load the emitter '{goal.emitter}': {error}", where=f"target '{goal.name}'"
        ) from error
    return found


def _check_legality(model: ir.Model, goal: Target, source: Path) -> None:
    violations = check(model, goal.rules)
    if not violations:
        return
    first = violations[0]
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    raise IllegalForTargetError(
        f"{first.place}: {first.message}; illegal for target '{goal.name}'{more}",
        where=str(source),
        hint=first.remedy,
    )


def _write(
    model: ir.Model, goal: Target, folder: Path, emit: Emit, settings: Settings
) -> tuple[list[Path], list[OutputDelta]]:
    model.producer_name, model.producer_version = "lprc", __version__
    lowered = folder / LOWERED
    save(model, lowered)
    if emit == "onnx":
        return sorted(folder.iterdir()), []
    emitted = _emitter(goal)(lowered, folder)
    deltas = [] if settings.verify == "off" else _compare(model, goal, emitted[0], settings)
    return sorted(folder.iterdir()), deltas


def _compare(
    model: ir.Model, goal: Target, artefact: Path, settings: Settings
) -> list[OutputDelta]:
    """How far the artefact's outputs are from the lowered graph's.

    Raises:
        PromiseBrokenError: Farther than the target allows.
    """
    inputs = settings.inputs or [random_inputs(model, seed=settings.seed, batch=1)]
    reference = Session(model)
    runtime = RUNTIMES[goal.runtime]
    assert runtime is not None  # as of Target: where there is an emitter, there is a runtime
    runner = make_runner(artefact, runtime.backend)
    deltas = _over_all([compare(reference.run(each), runner.run(each)) for each in inputs])
    tolerance = max(goal.tolerance, rounding(model))
    bad = [delta for delta in deltas if not delta.within(tolerance)]
    if bad:
        raise PromiseBrokenError(
            f"the artefact's outputs are not the lowered graph's: {'; '.join(map(str, bad[:3]))}",
            where=f"target '{goal.name}'",
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
