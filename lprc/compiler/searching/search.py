"""Ask, evaluate, measure beside the incumbent and write down, until the budget is spent."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lprc.compiler.measure.paired import PairedRatio
from lprc.compiler.searching.bars import bars_for
from lprc.compiler.searching.candidate import Candidate, candidate
from lprc.compiler.searching.front import pareto_front
from lprc.compiler.searching.outcome import Outcome, PassSavings
from lprc.compiler.searching.plan import Sensitivities, promising_first
from lprc.compiler.searching.study import ARTEFACTS, Study, Trial
from lprc.compiler.searching.workers import Job, Workers
from lprc.core.errors import LprcError
from lprc.core.files.atomic import atomic_file
from lprc.core.targets.search_space import Knob
from lprc.core.targets.target import Target, target

if TYPE_CHECKING:
    import optuna

Report = Callable[[float, int], None]

NOTHING_NEW = 60
"""Candidates in a row that were tried before, after which a search ends."""

FINAL_ROUNDS = 200
"""Runs of each of the best, measured together at the end."""

RESULT = "front.json"


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Attributes:
        seconds: How long it runs; what is running then is finished.
        trials: How many trials this run adds at most; None for any number.
    """

    seconds: float
    trials: int | None = None


@dataclass
class Search:
    """A search in a study.

    Attributes:
        study: Where trials are written down.
        source: The model, whose latency in ONNX Runtime is 1.
        goals: The targets.
        knobs: Of each target, by its name.
        sensitivities: Which layers stay in float first.
        workers: Who evaluates.
        max_drop: How much the score may fall.
        report: Called with seconds spent and the budget.
    """

    study: Study
    source: Path
    goals: Sequence[Target]
    knobs: Mapping[str, Sequence[Knob]]
    sensitivities: Sensitivities
    workers: Workers
    max_drop: float
    report: Report | None = None
    trials: list[Trial] = field(default_factory=list)
    savings: PassSavings = field(default_factory=PassSavings)

    def __post_init__(self) -> None:
        """Take in what the study knows; a new one begins with the targets as they are."""
        if self.study.is_new:
            for goal in promising_first(self.goals):
                self.study.enqueue(goal.name, self.knobs[goal.name])
        for trial in self.study.trials():
            self._add(trial)

    def run(self, limits: Limits) -> None:
        """Try candidates until a limit is reached, or nothing new is found.

        Raises:
            LprcError: Latencies can't be measured.
        """
        started = time.monotonic()
        before, repeated = len(self.trials), 0
        while repeated < NOTHING_NEW:
            spent = time.monotonic() - started
            count = len(self.trials) - before
            if spent >= limits.seconds or (limits.trials is not None and count >= limits.trials):
                return
            if self.report is not None:
                self.report(spent, int(limits.seconds) + 1)
            slots = self.workers.slots
            if limits.trials is not None:
                slots = min(slots, limits.trials - count)
            told = len(self.trials)
            new = self._round(slots, limits.seconds - spent)
            repeated = 0 if new else repeated + len(self.trials) - told

    @property
    def incumbent(self) -> Trial | None:
        """The fastest so far."""
        measured = [
            trial
            for trial in self.trials
            if trial.latency is not None
            and trial.same_as is None
            and self.study.artefact(trial.number).is_dir()
        ]
        return min(measured, key=lambda trial: trial.latency or 0.0, default=None)

    def front(self, latencies: Mapping[int, float] | None = None) -> list[Trial]:
        """The best trials by the study's objectives."""
        return pareto_front(self.trials, self.study.objectives, latencies)

    def final_ratios(self) -> dict[int, PairedRatio]:
        """The latencies of the best and of all targets as they are, over the source's.

        They are measured together, so that they compare; by the trials' numbers.
        """
        front = self.front()
        plain = [trial for trial in self.trials if not trial.candidate.settings]
        wanted = {trial.number: trial for trial in [*front, *plain] if trial.latency is not None}
        places = {number: self.study.artefact(number) for number in wanted}
        present = {number: place for number, place in places.items() if place.is_dir()}
        if not present:
            return {}
        rows = self.workers.ratios(self.source, [*present.values()], rounds=FINAL_ROUNDS)
        return dict(zip(present, rows, strict=True))

    def _round(self, slots: int, seconds_left: float) -> bool:
        """Try some candidates at once; whether one of them was new."""
        asked: list[tuple[optuna.Trial, Candidate]] = []
        for _ in range(slots):
            trial, name, settings = self.study.ask([goal.name for goal in self.goals], self.knobs)
            drawn = Candidate(name, "", {}, settings)
            try:
                drawn = candidate(
                    target(name), self.knobs[name], settings, self.sensitivities.ranking
                )
            except LprcError as error:
                self._tell(trial, Trial(trial.number, drawn, Outcome("failed", str(error))))
                continue
            answer = self._known(drawn, [other for _, other in asked], seconds_left)
            if answer is None:
                asked.append((trial, drawn))
            else:
                self._tell(trial, Trial(trial.number, drawn, *answer))
        jobs = [
            Job(
                drawn,
                self.study.artefact(trial.number),
                bars_for(drawn, self.trials, accuracy_counts="accuracy" in self.study.objectives),
            )
            for trial, drawn in asked
        ]
        outcomes = self.workers.evaluate(jobs) if jobs else []
        ended = [
            self._ended(trial.number, drawn, outcome)
            for (trial, drawn), outcome in zip(asked, outcomes, strict=True)
        ]
        measured = self._measured(ended)
        for (trial, _), item in zip(asked, measured, strict=True):
            self._tell(trial, item)
        return bool(jobs)

    def _known(
        self, drawn: Candidate, beside: Sequence[Candidate], seconds_left: float
    ) -> tuple[Outcome, float | None, Mapping[str, Any] | None, int | None] | None:
        """What came of an equal candidate, or why this one is not begun; None where it is."""
        cost = sum(
            knob.seconds.get(values[next(iter(knob.values))], 0.0)
            for knob in self.knobs[drawn.target]
            if (values := drawn.settings.get(knob.name)) is not None
        )
        if cost > seconds_left:
            why = f"it takes {cost:.0f} s, and {seconds_left:.0f} s are left"
            return Outcome("postponed", why), None, None, None
        for trial in self.trials:
            if trial.candidate.key == drawn.key and trial.outcome.stage != "postponed":
                same = trial.number if trial.same_as is None else trial.same_as
                return trial.outcome, trial.latency, trial.beside, same
        if any(other.key == drawn.key for other in beside):
            return Outcome("postponed", "the same is being tried beside it"), None, None, None
        return None

    def _ended(self, number: int, drawn: Candidate, outcome: Outcome) -> Trial:
        """A trial; one with the lowered graph of an earlier one has that one's result."""
        self.savings.add(outcome)
        if outcome.same_as is None:
            return Trial(number, drawn, outcome)
        earlier = next(trial for trial in self.trials if trial.number == outcome.same_as)
        return Trial(
            number, drawn, earlier.outcome, earlier.latency, earlier.beside, earlier.number
        )

    def _measured(self, ended: Sequence[Trial]) -> list[Trial]:
        """The trials with the latencies of those that are artefacts."""
        places = {
            trial.number: self.study.artefact(trial.number)
            for trial in ended
            if trial.outcome.is_feasible and trial.same_as is None
        }
        if not places:
            return list(ended)
        incumbent = self.incumbent
        beside, base = self.source, 1.0
        if incumbent is not None and incumbent.latency is not None:
            beside, base = self.study.artefact(incumbent.number), incumbent.latency
        rows, failures = self._ratios(beside, places)
        number = None if incumbent is None else incumbent.number
        return [
            _with_latency(trial, rows[trial.number], base, number)
            if trial.number in rows
            else replace(trial, outcome=trial.outcome.ended("failed", failures[trial.number]))
            if trial.number in failures
            else trial
            for trial in ended
        ]

    def _ratios(
        self, beside: Path, places: Mapping[int, Path]
    ) -> tuple[dict[int, PairedRatio], dict[int, str]]:
        """Latencies over that of `beside`, and why some fail: one does not end the search."""
        try:
            return dict(
                zip(places, self.workers.ratios(beside, [*places.values()]), strict=True)
            ), {}
        except LprcError as error:
            if len(places) == 1:
                return {}, dict.fromkeys(places, f"its latency can't be measured: {error}")
        rows: dict[int, PairedRatio] = {}
        failures: dict[int, str] = {}
        for number, place in places.items():
            more_rows, more_failures = self._ratios(beside, {number: place})
            rows |= more_rows
            failures |= more_failures
        return rows, failures

    def _tell(self, trial: optuna.Trial, ended: Trial) -> None:
        self.study.tell(trial, ended, self.max_drop)
        self._add(ended, already_counted=True)
        self._forget_artefacts()

    def _add(self, trial: Trial, *, already_counted: bool = False) -> None:
        self.trials.append(trial)
        if not already_counted and trial.same_as is None:
            self.savings.add(trial.outcome)

    def _forget_artefacts(self) -> None:
        """Remove the artefacts that are neither among the best nor a target as it is."""
        kept = {trial.number for trial in self.front()}
        kept |= {trial.number for trial in self.trials if not trial.candidate.settings}
        incumbent = self.incumbent
        if incumbent is not None:
            kept.add(incumbent.number)
        ended = {trial.number for trial in self.trials}
        for place in (self.study.folder / ARTEFACTS).iterdir():
            if place.name.isdigit() and int(place.name) in ended - kept:
                shutil.rmtree(place, ignore_errors=True)


def _with_latency(trial: Trial, ratio: PairedRatio, base: float, incumbent: int | None) -> Trial:
    """A trial with its latency by way of the incumbent's, which is `base`."""
    beside = {**ratio.document(), "trial": incumbent}
    return replace(trial, latency=ratio.value * base, beside=beside)


def write_result(document: Mapping[str, Any], folder: Path) -> None:
    """Write what a search found beside its study.

    Raises:
        OutputError: It can't be written.
    """
    with atomic_file(folder / RESULT) as temporary:
        text = json.dumps(dict(document), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
