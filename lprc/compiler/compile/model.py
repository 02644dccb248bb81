"""Compile a model for a target: build the artefact, judge it, and write its manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lprc.compiler.artifact.artifact import Artifact, open_artifact
from lprc.compiler.artifact.build_inputs import labelled_sha256
from lprc.compiler.artifact.manifest import write_manifest
from lprc.compiler.artifact.manifest_file import is_artefact
from lprc.compiler.cache.snapshot import UnreadableEntryError
from lprc.compiler.compile.build import Built, build_artefact
from lprc.compiler.compile.demands import check_against_search, check_least
from lprc.compiler.compile.emitters import obstacle
from lprc.compiler.compile.float_layers import layers_in_float
from lprc.compiler.compile.guard import Guarded, guard
from lprc.compiler.compile.optimize import Optimized
from lprc.compiler.compile.request import CompileRequest
from lprc.compiler.measure.evaluation import Evaluation, evaluate
from lprc.compiler.measure.sensitivity import Search
from lprc.core.files.atomic import atomic_folder
from lprc.core.running.numerics import OutputDelta
from lprc.core.targets.emitter import Emitted


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


def compile_model(request: CompileRequest) -> Compiled:
    """Make what `request` asks for in its folder, which appears whole or not at all.

    Raises:
        AccuracyError: The demands can't be met; nothing is written.
        IllegalForTargetError: The lowered graph breaks a rule of the target.
        UsageError: The target's emitter can't be loaded.
        PromiseBrokenError: A pass or the emitter changed the outputs by more than it may.
        OutputError: The folder can't be written, or is one that lprc did not write.
    """
    try:
        return _compile(request)
    except UnreadableEntryError as error:
        return _compile(replace(request, memory=request.memory.distrusted(error)))


def _compile(request: CompileRequest) -> Compiled:
    search = None
    if request.demands.max_drop is not None:
        search, pipeline = layers_in_float(request)
        request = replace(request, pipeline=pipeline)
    guarded = None
    with atomic_folder(request.out, may_replace=is_artefact) as folder:
        built = build_artefact(request, folder)
        if search is not None:
            built.manifest["accuracy_search"] = search.document()
        evaluation = _measure(built, request)
        write_manifest(built.manifest, folder)
        if search is not None and evaluation is not None and request.emit == "engine":
            check_against_search(evaluation, search, request.pipeline)
        check_least(evaluation, request.demands)
        if request.demands.guard:
            guarded = guard(request, folder)
    if evaluation is not None:
        evaluation = replace(evaluation, artefact=str(request.out))
    return Compiled(
        open_artifact(request.out),
        built.optimized,
        built.deltas,
        built.emitted,
        search,
        guarded,
        evaluation,
    )


def _measure(built: Built, request: CompileRequest) -> Evaluation | None:
    """The artefact's accuracy, told to its manifest; None without labels or where it can't run."""
    demands = request.demands
    runs_here = request.emit == "onnx" or (
        request.emit == "engine" and obstacle(request.target, request.options) is None
    )
    if demands.data is None or not runs_here:
        return None
    evaluation = evaluate(built.artifact, demands.data, explain=True)
    digest = labelled_sha256(evaluation.samples)
    built.manifest["metrics"] = {"accuracy": evaluation.metric(digest)}
    return evaluation
