"""Compile a model for a target: passes, legality, emitter, checks, manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx_ir as ir

from lprc._version import __version__
from lprc.compiler.artifact.artifact import LOWERED, Artifact, open_artifact
from lprc.compiler.artifact.build_inputs import BuildInputs, labelled_sha256
from lprc.compiler.artifact.manifest import accuracy_document, manifest, write_manifest
from lprc.compiler.artifact.manifest_file import is_artefact
from lprc.compiler.artifact.pass_log import write_log
from lprc.compiler.compile.demands import Demands, check_artefact, check_least, find_layers
from lprc.compiler.compile.emit import emit_artefact, obstacle, read_options, require
from lprc.compiler.compile.guard import Guarded, guard
from lprc.compiler.compile.optimize import Optimized, Settings, optimize
from lprc.compiler.measure.accuracy import Evaluation, evaluate
from lprc.compiler.measure.sensitivity import Search
from lprc.core.errors import (
    AccuracyError,
    IllegalForTargetError,
    MissingDependencyError,
    UsageError,
)
from lprc.core.files.atomic import atomic_folder
from lprc.core.graph.provenance import describe
from lprc.core.instruments.print_changes import check_names
from lprc.core.instruments.snapshots import check_folder
from lprc.core.onnx_io.model_io import load, save
from lprc.core.passing.pipeline import Pipeline
from lprc.core.quantization.already import Choice, refused
from lprc.core.quantization.recognise import quantized_form
from lprc.core.running.numerics import OutputDelta
from lprc.core.targets.emitter import Emit, Emitted, TargetOptions
from lprc.core.targets.legality import check
from lprc.core.targets.target import Target
from lprc.core.targets.target import target as find_target
from lprc.models.plate_config import PlateConfig


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
        evaluation: The accuracy of what runs here, where `Demands.data` was given.
    """

    artifact: Artifact
    optimized: Optimized
    deltas: list[OutputDelta]
    emitted: Emitted
    search: Search | None = None
    guarded: Guarded | None = None
    evaluation: Evaluation | None = None


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
    check_folder(settings.dump_dir, out)
    goal = find_target(target)
    chosen = read_options(goal, options or {})
    _check_demands(demands, goal, emit, chosen)
    require(goal, chosen, emit)
    pipeline = Pipeline.parse(goal.pipeline if passes is None else passes)
    if then is not None:
        pipeline = Pipeline((*pipeline.passes, *Pipeline.parse(then).passes))
    if settings.printing is not None:
        check_names(settings.printing, pipeline)
    model = load(source)
    pipeline = _for_quantized(model, pipeline, quantized, str(source))
    search = None
    if demands.max_drop is not None:
        search, pipeline = find_layers(
            model.clone(), pipeline, settings.calibration, demands, str(source)
        )
    guarded, evaluation = None, None
    inputs = BuildInputs.of(source, model, settings, emit)
    with atomic_folder(out, may_replace=is_artefact) as folder:
        optimized = optimize(model, pipeline, settings)
        _check_legality(model, goal, source)
        lowered = _save(model, folder)
        write_log(optimized.records, folder)
        emitted, deltas = emit_artefact(
            model, goal, source, lowered, emit, chosen, settings, optimized
        )
        document = manifest(inputs, goal, optimized, folder, deltas, chosen, emitted)
        if search is not None:
            document["accuracy_search"] = search.document()
        write_manifest(document, folder)
        if emit == "onnx" or (emit == "engine" and obstacle(goal, chosen) is None):
            evaluation = _measure(document, folder, demands)
        if search is not None and evaluation is not None and emit == "engine":
            check_artefact(evaluation, search)
        check_least(evaluation, demands)
        if demands.guard:
            guarded = _guard(source, goal, folder, settings, demands, options or {})
    if evaluation is not None:
        evaluation = replace(evaluation, artefact=str(out))
    return Compiled(open_artifact(out), optimized, deltas, emitted, search, guarded, evaluation)


def _measure(document: dict[str, Any], folder: Path, demands: Demands) -> Evaluation | None:
    """The artefact's accuracy, told in the manifest too; None without labelled plates."""
    if demands.data is None:
        return None
    found = evaluate(folder, demands.data, config=demands.config)
    config = demands.config or PlateConfig.named(found.plates)
    measured = accuracy_document(found, labelled_sha256(demands.data, config))
    document["metrics"] = {"accuracy": measured}
    write_manifest(document, folder)
    return found


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
    if demands.min_accuracy is not None and (demands.data is None or emit == "kit"):
        raise UsageError(
            "there is nothing to measure accuracy on",
            where="--min-accuracy",
            hint="--data DIR names labelled plates; a kit is measured on its device",
        )
    why = obstacle(goal, options) if emit == "engine" else None
    if demands.min_accuracy is not None and why is not None:
        raise MissingDependencyError(
            f"nothing can be measured: {why}", where="--min-accuracy", hint="drop it"
        )
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
    plain = replace(plain, printing=None, instruments=())
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
        node=next((node.name for node in _nodes(model) if describe(node) == first.place), None),
        path=source,
    )


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    bodies: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for body in bodies:
        yield from body.all_nodes()


def _save(model: ir.Model, folder: Path) -> Path:
    model.producer_name, model.producer_version = "lprc", __version__
    lowered = folder / LOWERED
    save(model, lowered)
    return lowered
