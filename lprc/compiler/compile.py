"""Compile a model for a target: passes, legality, emitter, checks, manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir

from lprc import __version__
from lprc.compiler.artifact import LOWERED, Artifact, open_artifact
from lprc.compiler.demands import Demands, check_artefact, find_layers
from lprc.compiler.emit import emit_artefact, obstacle, read_options, require
from lprc.compiler.guard import Guarded, guard
from lprc.compiler.manifest import is_artefact, manifest, write_manifest
from lprc.compiler.optimize import Optimized, Settings, optimize
from lprc.compiler.sensitivity import Search
from lprc.core.atomic import atomic_folder
from lprc.core.emission import Emit, Emitted, TargetOptions
from lprc.core.errors import (
    AccuracyError,
    IllegalForTargetError,
    MissingDependencyError,
    UsageError,
)
from lprc.core.legality import check
from lprc.core.model_io import load, save
from lprc.core.numerics import OutputDelta
from lprc.core.pipeline import Pipeline
from lprc.core.quantization.already import Choice, refused
from lprc.core.quantization.recognise import quantized_form
from lprc.core.target import Target
from lprc.core.target import target as find_target


@dataclass(frozen=True)
class Compiled:
    """An artefact, and what was done to get there.

    Attributes:
        artifact: What was written.
        optimized: What the passes did.
        deltas: How far the artefact's outputs are from the lowered graph's; empty where it can't
            run here.
        emitted: What the emitter said of the artefact.
        search: Which layers stay in float, where `Demands.max_drop` was given.
        guarded: The comparison with float32, where `Demands.guard` was given.
    """

    artifact: Artifact
    optimized: Optimized
    deltas: list[OutputDelta]
    emitted: Emitted
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
    options: Mapping[str, tuple[str, ...]] | None = None,
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
        emit: ``onnx`` stops at the lowered ONNX and needs no SDK; ``kit`` writes what builds the
            artefact on the device.
        options: The target's options, as texts by name.
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
    chosen = read_options(goal, options or {})
    _check_demands(demands, goal, emit, chosen)
    require(goal, chosen, emit)
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
        lowered = _save(model, folder)
        emitted, deltas = emit_artefact(
            model, goal, source, lowered, emit, chosen, settings, optimized
        )
        document = manifest(source, goal, optimized, folder, deltas, chosen, emitted)
        if search is not None:
            document["accuracy_search"] = search.document()
        write_manifest(document, folder)
        if search is not None and emit == "engine" and obstacle(goal, chosen) is None:
            check_artefact(folder, search, demands)
        if demands.guard:
            guarded = _guard(source, goal, folder, settings, demands, options or {})
    return Compiled(open_artifact(out), optimized, deltas, emitted, search, guarded)


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


def _check_demands(demands: Demands, goal: Target, emit: Emit, options: TargetOptions) -> None:
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
    why = obstacle(goal, options)
    if why is not None:
        raise MissingDependencyError(
            f"nothing can be measured: {why}", where="--guard", hint="drop it"
        )


def _guard(
    source: Path,
    goal: Target,
    folder: Path,
    settings: Settings,
    demands: Demands,
    options: Mapping[str, tuple[str, ...]],
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
        lambda other: compile_model(source, goal.reference, other, settings=plain, options=options),
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


def _save(model: ir.Model, folder: Path) -> Path:
    model.producer_name, model.producer_version = "lprc", __version__
    lowered = folder / LOWERED
    save(model, lowered)
    return lowered
