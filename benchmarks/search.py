"""Hypervolume per minute: lprc search, random search, and NNCF and ONNX Runtime by themselves.

    python benchmarks/search.py model.onnx --task lprnet --fit calib/ --judge judged/ \\
        --report val/ --seconds 600 --threads 2 --json search.json

`--fit` calibrates, `--judge` decides (all contestants have both), `--report` is looked at once at
the end. Each search has the same seconds and an empty cache of its own. All artefacts that are
accurate enough are then measured in turn in one run; the hypervolume is that below (1.1, 1.1)
in latency and size over the source's in OpenVINO, whichever of the runtimes they are for.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _search_peers import peer_runs

from lprc.compiler.artifact.artifact import open_artifact
from lprc.compiler.measure.bench import bench
from lprc.compiler.measure.evaluation import evaluate
from lprc.compiler.searching.evaluate import Evaluator, Question
from lprc.compiler.searching.front import hypervolume
from lprc.compiler.searching.run import SearchRequest, run_search
from lprc.compiler.searching.search import Limits
from lprc.compiler.searching.study import ARTEFACTS, Sampler
from lprc.core.tasks.task_file import task_choice

ROUNDS = 200

REFERENCE = (1.1, 1.1)
"""Latency and size over the source's that are just not acceptable any more."""


@dataclass
class Contestant:
    """One way to find artefacts.

    Attributes:
        name: Its name.
        seconds: How long it took.
        places: What it found that is accurate enough, by a label.
        notes: What else there is to say.
    """

    name: str
    seconds: float
    places: dict[str, Path] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def searched(
    name: str, sampler: Sampler, question: Question, given: argparse.Namespace, folder: Path
) -> tuple[Contestant, Contestant]:
    """A search, and the targets as they are among what it tried."""
    os.environ["LPRC_CACHE_DIR"] = str(folder / f"{sampler}-cache")
    started = time.monotonic()
    request = SearchRequest(
        question,
        folder / sampler,
        Limits(given.seconds),
        targets=tuple(given.targets.split(",")) if given.targets else (),
        sampler=sampler,
        seed=given.seed,
    )
    document = run_search(request).document
    seconds = time.monotonic() - started
    notes = {key: document[key] for key in ("trials", "stages", "pass_time_saved")}
    front = {row["label"]: row["trial"] for row in document["front"]}
    plain = {row["label"]: row["trial"] for row in document["targets"] if row["drop"] is not None}
    return (
        Contestant(name, seconds, _present(folder / sampler, front), notes),
        Contestant("targets as they are", seconds, _present(folder / sampler, plain)),
    )


def _present(study: Path, trials: dict[str, int]) -> dict[str, Path]:
    places = {label: study / ARTEFACTS / str(number) for label, number in trials.items()}
    return {label: place for label, place in places.items() if place.is_dir()}


def peers(question: Question, folder: Path) -> Contestant:
    """All other tools together, with the time that all of them took."""
    evaluator = Evaluator(question)
    others = Contestant("NNCF and quantize_static", 0.0)
    for run in peer_runs(evaluator, folder):
        others.seconds += run.seconds
        if run.path is None:
            others.notes[run.name] = run.why
            continue
        choice = task_choice(question.task)
        score = evaluate(run.path, question.data, task=choice, threads=question.threads).score
        drop = evaluator.reference.value - score.value
        others.notes[run.name] = {"seconds": run.seconds, "drop": drop}
        if drop <= question.max_drop + 1e-9:
            others.places[run.name] = run.path
    return others


def judged(contestants: Sequence[Contestant], question: Question) -> list[dict[str, Any]]:
    """A row for each: its points, and the hypervolume that it found a minute."""
    places = list(dict.fromkeys(place for item in contestants for place in item.places.values()))
    source = f"{question.model}@openvino"
    rows = bench([source, *places], rounds=ROUNDS, threads=question.threads)
    size = open_artifact(source).size_bytes
    points = {
        place: (row.ratio_to_first, row.size_bytes / size)
        for place, row in zip(places, rows[1:], strict=True)
    }
    table = []
    for item in contestants:
        own = {label: points[place] for label, place in item.places.items()}
        volume = hypervolume(list(own.values()), REFERENCE)
        table.append(
            {
                "contestant": item.name,
                "seconds": item.seconds,
                "hypervolume": volume,
                "per_minute": 60 * volume / item.seconds if item.seconds else 0.0,
                "fastest": min((point[0] for point in own.values()), default=None),
                "smallest": min((point[1] for point in own.values()), default=None),
                "points": own,
                "notes": item.notes,
            }
        )
    return table


def reported(contestants: Sequence[Contestant], question: Question, data: Path) -> dict[str, str]:
    """The scores of all that was found on data that decided nothing."""
    choice = task_choice(question.task)
    places = {f"{c.name}: {label}": place for c in contestants for label, place in c.places.items()}
    scores = {"source": str(evaluate(question.model, data, task=choice))}
    for label, place in places.items():
        scores[label] = str(evaluate(place, data, task=choice, threads=question.threads))
    return scores


def main() -> None:
    """Run all contestants, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--task")
    for name in ("--fit", "--judge"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--targets")
    parser.add_argument("--max-drop", type=float, default=0.005)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    question = Question(
        given.model.absolute(),
        given.judge.absolute(),
        given.fit.absolute(),
        given.task,
        given.max_drop,
        given.threads,
        given.seed,
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ours, plain = searched("lprc search", "tpe", question, given, folder)
        random, _ = searched("random search", "random", question, given, folder)
        contestants = [ours, random, plain, peers(question, folder)]
        rows = judged(contestants, question)
        scores = {} if given.report is None else reported(contestants, question, given.report)
    print(f"{'':28} {'seconds':>8} {'hv':>7} {'hv/min':>7} {'fastest':>8} {'smallest':>8}")
    for row in rows:
        ends = [f"{row[key]:8.3f}" if row[key] is not None else 8 * " " for key in _ENDS]
        print(
            f"{row['contestant']:28} {row['seconds']:8.0f} {row['hypervolume']:7.3f} "
            f"{row['per_minute']:7.3f} {' '.join(ends)}"
        )
    for label, score in scores.items():
        print(f"{label}: {score}")
    if given.json is not None:
        given.json.write_text(json.dumps({"rows": rows, "report": scores}, indent=2) + "\n")


_ENDS = ("fastest", "smallest")

if __name__ == "__main__":
    main()
