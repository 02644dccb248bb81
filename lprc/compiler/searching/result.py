"""What a search found, as JSON data."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lprc.compiler.measure.paired import PairedRatio
from lprc.compiler.searching.evaluate import Evaluator, Question
from lprc.compiler.searching.front import pareto_front, value
from lprc.compiler.searching.search import Search
from lprc.compiler.searching.study import Trial


def result_document(
    search: Search, evaluator: Evaluator, ratios: Mapping[int, PairedRatio], *, seconds: float
) -> dict[str, Any]:
    """The front, the targets as they are, and what was done to get there.

    Args:
        search: It has ended.
        evaluator: With the source's score.
        ratios: Latencies over the source's by trial, measured together.
        seconds: How long this run took.
    """
    latencies = {number: ratio.value for number, ratio in ratios.items()}
    measured = [trial for trial in search.trials if trial.number in ratios]
    front = pareto_front(measured, search.study.objectives, latencies)
    plain = [trial for trial in search.trials if not trial.candidate.settings]
    question = evaluator.question
    return {
        "study": str(search.study.folder),
        "model": str(question.model),
        "objectives": list(search.study.objectives),
        "max_accuracy_drop": question.max_drop,
        "source": evaluator.reference.document(),
        "seconds": seconds,
        "trials": len(search.trials),
        "stages": dict(sorted(Counter(map(_stage, search.trials)).items())),
        "pass_time_saved": search.savings.share,
        "latencies": "median of paired ratios to the source in ONNX Runtime",
        "front": [_row(trial, ratios, question) for trial in front],
        "targets": [_row(trial, ratios, question) for trial in unique(plain)],
        "all": [_point(trial) for trial in search.trials if trial.outcome.is_feasible],
    }


def unique(trials: Sequence[Trial]) -> list[Trial]:
    """The trials without those that repeat an earlier one."""
    return [trial for trial in trials if trial.same_as is None]


def picked(search: Search, ratios: Mapping[int, PairedRatio], what: str) -> Trial | None:
    """The fastest or the smallest trial that is accurate enough; None where there is none.

    Args:
        search: It has ended.
        ratios: Latencies over the source's by trial, measured together.
        what: ``fastest`` or ``smallest``.
    """
    latencies = {number: ratio.value for number, ratio in ratios.items()}
    present = [trial for trial in unique(search.trials) if trial.number in ratios]
    order: tuple[Any, Any] = ("latency", "size") if what == "fastest" else ("size", "latency")
    return min(
        present, key=lambda trial: [value(trial, goal, latencies) for goal in order], default=None
    )


def compile_command(trial: Trial, question: Question) -> str:
    """The command line that makes a trial's artefact anew."""
    words = ["lprc", "compile", str(question.model), "--target", trial.candidate.target]
    words += ["--passes", trial.candidate.pipeline]
    for name, texts in trial.candidate.options.items():
        words += ["-O", f"{name}={','.join(texts)}"]
    if question.calibration is not None:
        words += ["--calib", str(question.calibration)]
    if question.task is not None:
        words += ["--task", question.task]
    return shlex.join([*words, "-o", f"trial-{trial.number}"])


def _stage(trial: Trial) -> str:
    return "repeated" if trial.same_as is not None else trial.outcome.stage


def _row(trial: Trial, ratios: Mapping[int, PairedRatio], question: Question) -> dict[str, Any]:
    outcome, ratio = trial.outcome, ratios.get(trial.number)
    return {
        "trial": trial.number,
        **trial.candidate.document(),
        "label": trial.candidate.label,
        "stage": outcome.stage,
        "why": outcome.why,
        "latency": None if ratio is None else ratio.document(),
        "size_bytes": outcome.size_bytes,
        "accuracy": outcome.accuracy,
        "accuracy_interval": None if outcome.interval is None else list(outcome.interval),
        "drop": outcome.drop,
        "drop_interval": None if outcome.drop_interval is None else list(outcome.drop_interval),
        "macs": outcome.macs,
        "parameters": outcome.parameters,
        "snr_db": outcome.document()["snr_db"],
        "command": compile_command(trial, question),
    }


def _point(trial: Trial) -> dict[str, Any]:
    """A trial as a point of the plot."""
    return {
        "trial": trial.number,
        "label": trial.candidate.label,
        "latency": trial.latency,
        "size_bytes": trial.outcome.size_bytes,
        "drop": trial.outcome.drop,
    }
