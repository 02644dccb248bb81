"""A whole search: what to choose from, the trials, the result, and the artefact that is picked."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lprc.compiler.artifact.manifest import is_artefact, read_manifest, write_manifest
from lprc.compiler.searching.cluster import ClusterWorkers
from lprc.compiler.searching.evaluate import Evaluator, Question
from lprc.compiler.searching.page import write_pages
from lprc.compiler.searching.plan import (
    Sensitivities,
    chosen_knobs,
    chosen_targets,
    request_document,
)
from lprc.compiler.searching.result import picked, result_document
from lprc.compiler.searching.reuse import drop_another, limits_left, result_of
from lprc.compiler.searching.search import Limits, Report, Search, write_result
from lprc.compiler.searching.study import Objective, Sampler, Study, Trial
from lprc.compiler.searching.workers import LocalWorkers, Workers
from lprc.core.errors import AccuracyError
from lprc.core.files.atomic import atomic_folder
from lprc.core.running.numerics import Arrays

Pick = Literal["fastest", "smallest"]

PICKS: tuple[Pick, ...] = ("fastest", "smallest")


@dataclass(frozen=True)
class SearchRequest:
    """What is asked of a search.

    Attributes:
        question: What candidates are judged by.
        folder: The study's.
        limits: When to end.
        objectives: What to make small.
        targets: Patterns of targets; none for those that make artefacts of their own and work here.
        spaces: TOML files with knobs of the user's.
        seed: Of what is tried.
        sampler: How settings are chosen.
        jobs: Candidates at once on this machine.
        storage: A URL of one of Optuna's storages; None for a file in the folder.
        resume: Whether to go on with a study.
        reuse: Whether to go on with one of the same until its limits are spent in all, and to begin
            anew where anything that decides it is another.
        scheduler: Address of a Dask scheduler whose workers evaluate; None for this machine.
        measure_on: The resource of the workers that measure latencies; None for any one worker.
        pick: Which artefact to write; None for none.
        out: Where.
    """

    question: Question
    folder: Path
    limits: Limits
    objectives: tuple[Objective, ...] = ("latency", "size")
    targets: tuple[str, ...] = ()
    spaces: tuple[Path, ...] = ()
    seed: int = 0
    sampler: Sampler = "tpe"
    jobs: int = 1
    storage: str | None = None
    resume: bool = False
    reuse: bool = False
    scheduler: str | None = None
    measure_on: str | None = None
    pick: Pick | None = None
    out: Path | None = None


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        document: As of `lprc.compiler.searching.result.result_document`, and ``picked``.
        left_out: Why targets were not tried, by name.
        pick: The trial whose artefact was written.
    """

    document: dict[str, Any]
    left_out: dict[str, str] = field(default_factory=dict)
    pick: Trial | None = None


def run_search(request: SearchRequest, *, progress: Report | None = None) -> Found:
    """Search, and write ``front.json``, ``front.svg`` and ``front.html`` into the study.

    Raises:
        UsageError: Targets, knobs or a study that can't be used.
        DataError: Data, task and model do not fit each other.
        AccuracyError: An artefact was to be picked, and none is accurate enough.
        OutputError: The study or the artefact can't be written.
    """
    started = time.monotonic()
    question = request.question
    goals, left_out = chosen_targets(request.targets, calibrated=question.calibration is not None)
    knobs, all_knobs = chosen_knobs(goals, request.spaces)
    evaluator = Evaluator(question)
    asked = request_document(
        evaluator,
        goals,
        all_knobs,
        objectives=list(request.objectives),
        seed=request.seed,
        sampler=request.sampler,
    )
    if request.reuse:
        drop_another(request.folder, asked)
    study = Study(
        request.folder,
        asked,
        request.objectives,
        seed=request.seed,
        sampler=request.sampler,
        storage=request.storage,
        resume=request.resume or request.reuse,
    )
    workers: Workers | None = None
    try:
        limits, earlier_result = request.limits, None
        if request.reuse:
            earlier_result = result_of(study, limits, asked["id"])
            limits = limits_left(limits, study)
        if earlier_result is not None:
            return _picked_again(request, study, earlier_result, left_out)
        workers = _workers(request, evaluator)
        file = request.folder / "sensitivities.json"
        search = Search(
            study,
            question.model,
            goals,
            knobs,
            Sensitivities(question.model, evaluator.calibration, file),
            workers,
            question.max_drop,
            progress,
        )
        search.run(limits)
        ratios = search.final_ratios()
        seconds = time.monotonic() - started
        document = result_document(search, evaluator, ratios, seconds=seconds)
        document |= {"id": asked["id"], "limits": vars(request.limits)}
        document["picks"] = {what: _number(picked(search, ratios, what)) for what in PICKS}
        chosen = _pick(request, study, document)
        write_result(document, request.folder)
        write_pages(document, request.folder)
    finally:
        if workers is not None:
            workers.close()
        study.close()
    return Found(document, left_out, chosen)


def _workers(request: SearchRequest, evaluator: Evaluator) -> Workers:
    sample = _sample(evaluator)
    if request.scheduler is None:
        return LocalWorkers(evaluator, request.jobs, sample)
    return ClusterWorkers(request.scheduler, evaluator.question, request.measure_on)


def _sample(evaluator: Evaluator) -> Arrays | None:
    """What latencies are measured on: the first sample to calibrate with."""
    samples: Sequence[Arrays] = evaluator.calibration
    return dict(samples[0]) if len(samples) else None


def _number(trial: Trial | None) -> int | None:
    return None if trial is None else trial.number


def _picked_again(
    request: SearchRequest, study: Study, document: dict[str, Any], left_out: dict[str, str]
) -> Found:
    """What a search found before, and the artefact that is asked for."""
    chosen = _pick(request, study, document)
    return Found(document, left_out, chosen)


def _pick(request: SearchRequest, study: Study, document: dict[str, Any]) -> Trial | None:
    """Write the artefact that is asked for; its manifest names the study and the trial."""
    document |= {"picked": None, "artefact": None}
    if request.pick is None or request.out is None:
        return None
    number = document["picks"][request.pick]
    if number is None:
        raise AccuracyError(
            f"no artefact loses at most {request.question.max_drop:g}",
            where="--max-accuracy-drop",
            hint="allow more, or give it more --budget; the study's front.json says what was tried",
        )
    trial = next(item for item in study.trials() if item.number == number)
    with atomic_folder(request.out, may_replace=is_artefact) as folder:
        shutil.copytree(study.artefact(number), folder, dirs_exist_ok=True)
        manifest = read_manifest(folder)
        manifest["search"] = {"study": document["id"], "trial": number}
        write_manifest(manifest, folder)
    document |= {"picked": number, "artefact": {"accuracy": trial.outcome.accuracy}}
    return trial
