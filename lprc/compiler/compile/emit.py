"""Hand a lowered graph to its target's emitter, and check what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from lprc.compiler.artifact.faithfulness import unexplained
from lprc.compiler.cache.emitted_files import emit_once
from lprc.compiler.compile.emitters import emitter_place, load_emitter, obstacle
from lprc.compiler.compile.optimize import Optimized
from lprc.compiler.compile.request import CompileRequest
from lprc.compiler.compile.settings import Execution
from lprc.compiler.compile.source_runs import unverified
from lprc.compiler.runners.isolated_runner import IsolatedRunner
from lprc.core.errors import InvalidModelError, PromiseBrokenError
from lprc.core.passing.translation import TranslatedRuns
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.noise import amplified
from lprc.core.running.numerics import Arrays, OutputDelta, compare, dynamic_step, rounding
from lprc.core.running.runner import OpenJob, Runs
from lprc.core.running.size_search import (
    UnrunnableError,
    inputs_of_both,
    made_up_inputs,
)
from lprc.core.targets.emitter import EmitJob, Emitted
from lprc.core.targets.runtimes import runtime


def emit_artefact(
    request: CompileRequest, model: ir.Model, lowered: Path, optimized: Optimized
) -> tuple[Emitted, list[OutputDelta]]:
    """Translate `lowered` as far as the request says, and compare what runs here with it.

    Args:
        request: What is compiled.
        model: The lowered graph.
        lowered: Its file, alone in the artefact's folder.
        optimized: What the passes did.

    Returns:
        What the emitter says, and how far the artefact's outputs are from the lowered graph's:
        nothing where the artefact can't run here, or is not to be verified.

    Raises:
        PromiseBrokenError: The artefact's outputs are not the lowered graph's.
    """
    goal, execution = request.target, request.execution
    translations = optimized.translations
    given = [translations.inputs(sample) for sample in execution.inputs or ()]
    if request.emit == "onnx":
        return Emitted([]), []
    job = EmitJob(
        model=model,
        lowered=lowered,
        folder=lowered.parent,
        target=goal.name,
        source=str(request.source),
        options=request.options,
        inputs=given or [_made_up(model, execution, optimized)],
        tolerance=max(goal.tolerance, rounding(model), dynamic_step(model)),
        skips={skip.node: skip.reason for record in optimized.records for skip in record.skips},
        progress=request.observation.progress,
    )
    emitter, place = load_emitter(goal, request.emit), emitter_place(goal, request.emit)
    emitted = emit_once(emitter, place, job, request.memory.store)
    if request.emit != "engine" or execution.verify == "off":
        return emitted, []
    why = obstacle(goal, request.options)
    if why is not None:
        return replace(emitted, warnings=[*emitted.warnings, f"not run: {why}"]), []
    runner = _opened(job, emitted, goal.runtime)
    reference = IsolatedSession(model)
    samples = emitted.inputs or given
    if not samples:
        samples = [_runs_in_both(job, reference, runner, execution, optimized)]
    deltas, warnings = _compare(
        job,
        reference,
        runner,
        samples,
        lambda: TranslatedRuns(IsolatedSession(request.model), translations),
    )
    return replace(emitted, warnings=[*emitted.warnings, *warnings]), deltas


_ISOLATED = ("aoti", "onnxruntime", "openvino", "torchscript")
"""Runtimes whose artefacts run in the child; others hold on to a device or to threads of theirs."""


def _opened(job: EmitJob, emitted: Emitted, runtime_name: str) -> Runs:
    """Load the artefact.

    Raises:
        InvalidModelError: The runtime refuses what its own converter wrote; the file itself is
            scratch, so that the error names the source.
    """
    goal, artefact = runtime(runtime_name), OpenJob(emitted.files[0], report=emitted.report)
    try:
        return IsolatedRunner(goal, artefact) if goal.name in _ISOLATED else goal.open(artefact)
    except InvalidModelError as error:
        raise InvalidModelError(
            f"target '{job.target}': {error.message}",
            where=job.source,
            hint=error.hint or "--input-shape fixes open sizes; --emit onnx stops in front of it",
        ) from error


def _made_up(model: ir.Model, execution: Execution, optimized: Optimized) -> Arrays:
    """One sample of a batch of 1, of the sizes that are known to run.

    Raises:
        UnrunnableError: ONNX Runtime does not run the graph at any size that was tried.
    """
    try:
        return made_up_inputs(model, seed=execution.seed, batch=1, sizes=optimized.sizes)
    except UnrunnableError as error:
        raise unverified(error, execution, "the lowered graph") from error


def _runs_in_both(
    job: EmitJob,
    reference: IsolatedSession,
    runner: Runs,
    execution: Execution,
    optimized: Optimized,
) -> Arrays:
    """A made-up sample of the sizes that are known to run, or of others if the runtime refuses.

    Raises:
        UnrunnableError: There are no sizes that both run.
    """
    seed = execution.seed
    try:
        return inputs_of_both(job.model, reference, runner, seed=seed, sizes=optimized.sizes)
    except UnrunnableError:
        sizes = {} if optimized.translations else execution.sizes
    try:
        return inputs_of_both(job.model, reference, runner, seed=seed, sizes=sizes)
    except UnrunnableError as error:
        raise unverified(error, execution, "the artefact") from error


def _compare(
    job: EmitJob,
    reference: IsolatedSession,
    runner: Runs,
    inputs: Sequence[Arrays],
    source: Callable[[], Runs],
) -> tuple[list[OutputDelta], list[str]]:
    """How far the artefact's outputs are from the lowered graph's, and warnings about that.

    Raises:
        PromiseBrokenError: Farther than the target allows, and farther from the source than the
            lowered graph is.
    """
    runs: list[tuple[Arrays, Arrays, Arrays]] = [
        (sample, reference.run(sample), runner.run(sample)) for sample in inputs
    ]
    deltas = _over_all([compare(lowered, artefact) for _, lowered, artefact in runs])
    bad, far = unexplained(
        [delta for delta in deltas if not delta.within(job.tolerance)],
        runs,
        job.tolerance,
        lowered=job.model,
        reference=reference,
        source=source,
    )
    if bad:
        raise PromiseBrokenError(
            f"the artefact's outputs are not the lowered graph's: {'; '.join(map(str, bad[:3]))}",
            where=f"target '{job.target}'",
            hint="--emit onnx keeps the lowered graph to look at",
        )
    return deltas, [amplified(far, f"target '{job.target}'")] if far else []


def _over_all(runs: Sequence[Sequence[OutputDelta]]) -> list[OutputDelta]:
    """Each output's differences over several runs, as one."""
    by_name: dict[str, list[OutputDelta]] = {}
    for delta in (delta for deltas in runs for delta in deltas):
        by_name.setdefault(delta.name, []).append(delta)
    return [
        replace(
            deltas[0],
            max_abs=max(delta.max_abs for delta in deltas),
            mean_abs=sum(delta.mean_abs for delta in deltas) / len(deltas),
            magnitude=max(delta.magnitude for delta in deltas),
            mismatch=next((delta.mismatch for delta in deltas if delta.mismatch), None),
        )
        for deltas in by_name.values()
    ]
