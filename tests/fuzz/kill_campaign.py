"""The campaign `kills`: runs that are ended at any moment tear nothing and leave nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import forked_runs
from .children import Report
from .forked_runs import Surroundings
from .project_campaign import ProjectCampaign, made_project, run_trials
from .projects import JOBS, Job, content, copied, scratch_left

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ENDINGS = {
    signal.SIGKILL: {-signal.SIGKILL, 0},
    signal.SIGTERM: {-signal.SIGTERM, 143, 0},
    signal.SIGINT: {-signal.SIGINT, 130, 0},
}
SECONDS_LEFT = 10.0
"""In which processes that a killed one started have to end."""


class KillCampaign(ProjectCampaign):
    """Runs that are ended at a random moment.

    Args:
        folder: Where projects are made; it is left empty.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(_work, folder, part=1000)


@dataclass(frozen=True)
class Expected:
    """What a job makes, in how many seconds, and what vendors leave among temporary files."""

    new: dict[str, str]
    old: dict[str, str]
    seconds: float
    vendors: frozenset[str]


def _work(report: Report, seeds: range, folder: Path) -> None:
    known: dict[str, Expected] = {}
    with made_project(folder) as template:
        run_trials(report, seeds, lambda seed, count: _trial(seed, template, known, count))


def _trial(
    seed: int, template: Surroundings, known: dict[str, Expected], count: Counter[str]
) -> str:
    """Kill one run, look, run it again to its end, and look again; what is wrong, or nothing."""
    rng = np.random.default_rng(seed)
    shares = np.array([job.share for job in JOBS.values()])
    name = str(rng.choice(list(JOBS), p=shares / shares.sum()))
    job = JOBS[name]
    with tempfile.TemporaryDirectory(prefix="kill-", dir=template.folder.parent) as there:
        if name not in known:
            known[name] = _expected(job, template, template.folder.parent / "known" / name)
        expected = known[name]
        where = copied(template, Path(there) / "trial")
        has_old = job.other is not None and rng.random() < 0.5
        if has_old and job.other is not None:
            for output in job.outputs:
                _copy(template.folder.parent / "known" / name / "other" / "project" / output, where)
        number = SIGNALS[int(rng.integers(len(SIGNALS)))]
        moment = float(rng.random()) * expected.seconds * 1.1
        ended, wrong = _killed(job, where, number, moment, to_all=bool(rng.random() < 0.5))
        count[f"{name}: {signal.Signals(number).name}"] += 1
        count[f"ended: {ended}"] += 1
        old = expected.old if has_old else {}
        wrong = wrong or _torn(job, where, expected, old) or _again(job, where, expected)
        wrong = wrong or (_unusable_cache(where) if rng.random() < 0.2 else "")
        return f"{name}, {number.name} after {moment:.3f} s: {wrong}" if wrong else ""


def _copy(output: Path, where: Surroundings) -> None:
    there = where.folder / output.name
    if output.is_dir():
        shutil.copytree(output, there)
    else:
        shutil.copy(output, there)


def _expected(job: Job, template: Surroundings, place: Path) -> Expected:
    old: dict[str, str] = {}
    if job.other is not None:
        where = copied(template, place / "other")
        _complete(job.other, where)
        old = {output: content(where.folder / output) for output in job.outputs}
    where = copied(template, place / "own")
    started = time.monotonic()
    _complete(job.arguments, where)
    seconds = time.monotonic() - started
    new = {output: content(where.folder / output) for output in job.outputs}
    assert all(new.values())
    return Expected(new, old, seconds, frozenset(path.name for path in where.scratch.iterdir()))


def _complete(arguments: list[str], where: Surroundings) -> None:
    code, said = forked_runs.run(arguments, where)
    assert code == 0, f"{arguments}: {code} {said}"


def _killed(
    job: Job, where: Surroundings, number: signal.Signals, moment: float, *, to_all: bool
) -> tuple[int | None, str]:
    run = forked_runs.start(job.arguments, where)
    time.sleep(moment)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # Ctrl-C goes to the whole group; `kill` to one process.
        (os.killpg if to_all and number == signal.SIGINT else os.kill)(run.pid, number)
    code = run.wait()
    said = run.said.read_text(errors="replace") if run.said.exists() else ""
    if code not in ENDINGS[number]:
        return code, f"exit code {code}: {said[-300:]}"
    if "Traceback" in said:
        return code, f"a traceback: {said[-300:]}"
    until = time.monotonic() + SECONDS_LEFT
    while run.companions():
        if time.monotonic() > until:
            return code, f"processes go on: {run.companions()}"
        time.sleep(0.05)
    return code, ""


def _torn(job: Job, where: Surroundings, expected: Expected, old: dict[str, str]) -> str:
    """Outputs that are neither whole nor as they were."""
    for output in job.outputs:
        if output in ("build", "swept"):
            continue  # folders of artefacts, which come one by one; the next run judges them
        state = content(where.folder / output)
        if state not in (expected.new[output], old.get(output, "")):
            return f"{output} is torn"
    return ""


def _again(job: Job, where: Surroundings, expected: Expected) -> str:
    """The same command to its end: it works, makes the same, and removes what was left."""
    for path in scratch_left(where.folder, where.cache, where.scratch):
        os.utime(path, (time.time() - 300,) * 2)  # as if a while had gone by
    code, said = forked_runs.run(job.arguments, where)
    if code != 0:
        return f"the next run ends with {code}: {said[-300:]}"
    for output in job.outputs:
        if content(where.folder / output) != expected.new[output]:
            return f"{output} of the next run is another"
    left = [str(path.relative_to(where.folder.parent)) for path in scratch_left(where.folder)]
    left += sorted({path.name for path in where.scratch.iterdir()} - expected.vendors)
    left += [path.name for path in scratch_left(where.cache)]
    return f"left: {left}" if left else ""


def _unusable_cache(where: Surroundings) -> str:
    code, said = forked_runs.run(
        ["compile", "model.onnx", "--target", "onnx", "-o", "made", "-q"], where
    )
    if code != 0:
        return f"the cache is not usable: {code} {said[-300:]}"
    return ""
