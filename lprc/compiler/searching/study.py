"""The study: what was tried, in a file that survives whatever ends a search."""

from __future__ import annotations

import fcntl
import json
import math
import os
import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lprc.compiler.searching.candidate import OFF, Candidate, Settings
from lprc.compiler.searching.outcome import Outcome
from lprc.core.errors import MissingDependencyError, OutputError, UsageError
from lprc.core.files.atomic import atomic_file
from lprc.core.process.installed import is_installed
from lprc.core.targets.search_space import Knob

if TYPE_CHECKING:
    import optuna

Objective = Literal["latency", "size", "accuracy"]

OBJECTIVES: tuple[Objective, ...] = ("latency", "size", "accuracy")

Sampler = Literal["tpe", "nsga", "random"]

DATABASE, REQUEST, LOCK, ARTEFACTS = "study.sqlite", "request.json", "lock", "artefacts"

SURROUNDINGS = "surroundings"
"""The key of a request under which stands where a study was made: lprc, SDKs, the machine."""

HOPELESS = 1e3
"""What stands for objectives that were not measured, because a trial is hopeless."""

_AGAIN = "again"
"""The attribute of a trial that is the second try of one that was not finished."""

_STARTUP = 12
"""Trials behind the targets as they are before the sampler learns from them."""


@dataclass(frozen=True)
class Trial:
    """One trial that has ended.

    Attributes:
        number: Its number in the study.
        candidate: What was tried.
        outcome: What came of it before its latency.
        latency: Its latency over the source's in ONNX Runtime, by way of the incumbents.
        beside: The ratio that was measured: ratio, interval, pairs and ``trial``, the incumbent.
        same_as: The trial that it equals, so that nothing was done; None for none.
    """

    number: int
    candidate: Candidate
    outcome: Outcome
    latency: float | None = None
    beside: Mapping[str, Any] | None = None
    same_as: int | None = None

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "number": self.number,
            **self.candidate.document(),
            "label": self.candidate.label,
            "outcome": self.outcome.document(),
            "latency": self.latency,
            "beside": None if self.beside is None else dict(self.beside),
            "same_as": self.same_as,
        }


class Study:
    """Trials in a folder: Optuna's database, what was asked, and artefacts.

    Args:
        folder: Where it is, or will be.
        request: What is asked, as JSON data; a study goes on only with the same.
        objectives: What to make small.
        seed: Of the sampler: trial n draws from it and n alone, so that a search which was
            interrupted goes on as it would have.
        sampler: How settings are chosen.
        storage: A URL of one of Optuna's storages; None for a file in the folder.
        resume: Whether to go on with a study that is there.

    Raises:
        MissingDependencyError: Optuna is not installed.
        UsageError: There is a study already, another one, or one that another process works on.
        OutputError: The folder can't be written.
    """

    def __init__(
        self,
        folder: Path,
        request: Mapping[str, Any],
        objectives: Sequence[Objective],
        *,
        seed: int = 0,
        sampler: Sampler = "tpe",
        storage: str | None = None,
        resume: bool = False,
    ) -> None:
        if not is_installed("optuna"):
            raise MissingDependencyError(
                "Optuna is not installed", where="search", hint='pip install "lprc[search]"'
            )
        self.folder, self.objectives = folder, tuple(objectives)
        self._seed, self._sampler = seed, sampler
        self._lock = _open(folder, request, resume=resume)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._study = optuna.create_study(
            storage=storage or f"sqlite:///{(folder / DATABASE).absolute()}",
            study_name=str(request["id"]),
            directions=["minimize"] * len(self.objectives),
            load_if_exists=True,
        )
        self._free_abandoned()

    def close(self) -> None:
        """Let another process work on it."""
        self._lock.close()

    @property
    def is_new(self) -> bool:
        """Whether nothing was tried yet."""
        return not self._study.get_trials(deepcopy=False)

    @property
    def count(self) -> int:
        """How many trials there are."""
        return len(self._study.get_trials(deepcopy=False))

    @property
    def seconds(self) -> float:
        """How long trials were being tried, in all runs; those beside each other count once."""
        spans = sorted(
            (item.datetime_start, item.datetime_complete)
            for item in self._study.get_trials(deepcopy=False)
            if item.user_attrs.get("trial") is not None  # no killed one: its end is a guess
            and item.datetime_start is not None
            and item.datetime_complete is not None
        )
        seconds, last = 0.0, None
        for start, end in spans:
            begun = start if last is None else max(start, last)
            seconds += max(0.0, (end - begun).total_seconds())
            last = end if last is None else max(end, last)
        return seconds

    def artefact(self, number: int) -> Path:
        """Where the artefact of a trial is, if it has one."""
        return self.folder / ARTEFACTS / str(number)

    def enqueue(self, target: str, knobs: Sequence[Knob]) -> None:
        """Let a later trial be a target as it is."""
        self._study.enqueue_trial({"target": target, **{_first(knob): OFF for knob in knobs}})

    def ask(
        self, targets: Sequence[str], knobs: Mapping[str, Sequence[Knob]]
    ) -> tuple[optuna.Trial, str, Settings]:
        """The next trial with the target and the settings that it should try.

        Args:
            targets: To choose from.
            knobs: Those of each.
        """
        count = self.count
        self._study.sampler = self._sampler_of(count)
        if self._sampler == "tpe" and count < len(targets) + _STARTUP:
            self._take_a_first_step(count, targets, knobs)
        trial = self._study.ask()
        target = trial.suggest_categorical("target", list(targets))
        settings: dict[str, dict[str, str]] = {}
        for knob in knobs[target]:
            (first, texts), *others = knob.values.items()
            chosen = trial.suggest_categorical(_first(knob), [OFF, *texts])
            if chosen == OFF:
                continue
            settings[knob.name] = {first: chosen}
            for name, more in others:
                key = f"{knob.name}.{name}"
                settings[knob.name][name] = trial.suggest_categorical(key, list(more))
        return trial, target, settings

    def tell(self, trial: optuna.Trial, ended: Trial, max_drop: float) -> None:
        """Write down what came of a trial."""
        outcome = ended.outcome
        trial.set_user_attr("trial", json.dumps(ended.document()))
        trial.set_constraint("accuracy", _violation(outcome, max_drop))
        values = {
            "latency": None if ended.latency is None else math.log(ended.latency),
            "size": None if outcome.size_bytes is None else math.log(outcome.size_bytes),
            "accuracy": outcome.drop,
        }
        told = [values[name] if outcome.is_feasible else None for name in self.objectives]
        self._study.tell(trial, [HOPELESS if value is None else value for value in told])

    def trials(self) -> list[Trial]:
        """Those that ended, in the order of their numbers."""
        found = []
        for frozen in self._study.get_trials(deepcopy=False):
            text = frozen.user_attrs.get("trial")
            if text is not None and frozen.state.is_finished():
                found.append(_trial(json.loads(text)))
        return found

    def _take_a_first_step(
        self, count: int, targets: Sequence[str], knobs: Mapping[str, Sequence[Knob]]
    ) -> None:
        """Let the next trial be a target with one knob turned, or two, where none is waiting.

        Drawn by the sampler, almost all knobs would be turned at once: few of that are any good,
        and nothing tells which of them was to blame.
        """
        from optuna.trial import TrialState

        if self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return
        generator = random.Random(self._seed * 1_000_003 + count)  # noqa: S311 - no secrets
        target = generator.choice(list(targets))
        own = knobs[target]
        turned = generator.sample(own, min(len(own), generator.choice((1, 1, 2))))
        settings = {_first(knob): OFF for knob in own}
        for knob in turned:
            for name, texts in knob.values.items():
                settings[f"{knob.name}.{name}"] = generator.choice(texts)
        self._study.enqueue_trial({"target": target, **settings})

    def _sampler_of(self, number: int) -> optuna.samplers.BaseSampler:
        """The sampler of one trial: what it draws depends on the trials before it alone."""
        import optuna

        seed = (self._seed * 1_000_003 + number) % 2**32
        if self._sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if self._sampler == "nsga":
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=2 * _STARTUP)
        return optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, n_startup_trials=_STARTUP
        )

    def _free_abandoned(self) -> None:
        """Trials that a search was killed over are done again, once: they may have killed it."""
        from optuna.trial import TrialState

        for frozen in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(frozen.number, state=TrialState.FAIL)
            if "target" in frozen.params and _AGAIN not in frozen.user_attrs:
                self._study.enqueue_trial(dict(frozen.params), user_attrs={_AGAIN: True})


def _first(knob: Knob) -> str:
    """Optuna's name for the first value of a knob, which can be off."""
    return f"{knob.name}.{next(iter(knob.values))}"


def _violation(outcome: Outcome, max_drop: float) -> float:
    """How far it is from being allowed; at most 0 where it is allowed."""
    if outcome.drop is not None:
        return outcome.drop - max_drop - 1e-9
    return {"inaccurate": 0.5, "noisy": 0.7, "costly": 0.1}.get(outcome.stage, 1.0)


def _trial(document: dict[str, Any]) -> Trial:
    return Trial(
        document["number"],
        Candidate.from_document(document),
        Outcome.from_document(document["outcome"]),
        document["latency"],
        document["beside"],
        document["same_as"],
    )


def _open(folder: Path, request: Mapping[str, Any], *, resume: bool) -> Any:
    """Make the folder, or see that it is a study of the same request; its lock, held.

    Raises:
        UsageError: It is not, or is in use.
        OutputError: It holds something else, or can't be written.
    """
    file = folder / REQUEST
    ours = {LOCK, ARTEFACTS}  # all that there is where it was killed early, or begun anew
    used = folder.exists() and (
        not folder.is_dir() or any(path.name not in ours for path in folder.iterdir())
    )
    if used and not file.is_file():
        raise OutputError(
            "it holds other things than a study",
            where=str(folder),
            hint="name another folder with --study",
        )
    if file.is_file():
        if not resume:
            raise UsageError(
                "there is a study already",
                where=str(folder),
                hint="--resume goes on with it; --study names another",
            )
        _check_same(json.loads(file.read_text(encoding="utf-8")), request, str(folder))
    lock = locked(folder)
    if not file.is_file():
        with atomic_file(file) as temporary:
            temporary.write_text(json.dumps(dict(request), indent=2) + os.linesep, "utf-8")
    return lock


def locked(folder: Path) -> Any:
    """The lock of a study, held until it is closed; its folder is made where there is none.

    Raises:
        UsageError: Another process holds it.
        OutputError: The folder can't be written.
    """
    try:
        (folder / ARTEFACTS).mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise OutputError(f"can't be written: {error.strerror}", where=str(folder)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise UsageError(
            "another search works on this study",
            where=str(folder),
            hint="wait for it, or name another with --study",
        ) from error
    return lock


def _check_same(before: Mapping[str, Any], now: Mapping[str, Any], where: str) -> None:
    free = ("id", SURROUNDINGS)  # another release of an SDK is for the user to judge
    differing = [key for key in now if key not in free and before.get(key) != now[key]]
    if differing:
        raise UsageError(
            f"its {differing[0]} is another: {before.get(differing[0])}, now {now[differing[0]]}",
            where=where,
            hint="ask for the same, or begin another study with --study",
        )
