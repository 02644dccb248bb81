"""What came of one candidate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Stage = Literal[
    "postponed", "illegal", "failed", "costly", "same", "noisy", "inaccurate", "accurate"
]
"""How far it came: too long for what is left of the budget, refused by the target, not to be
compiled, worse by its costs, the same graph as an earlier one's, worse by its outputs, by its
answers, or as good as it has to be."""


@dataclass(frozen=True)
class PassTime:
    """One pass in one trial.

    Attributes:
        prefix: What stands for the pipeline up to it, on the search's model and data.
        seconds: How long it took here.
        remembered: Whether the cache knew it.
    """

    prefix: str
    seconds: float
    remembered: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a candidate before its latency was measured.

    Attributes:
        stage: How far it came.
        why: Why no farther, in one line.
        macs: Multiply-accumulates before anything is calibrated.
        parameters: At the same place.
        lowered_sha256: Of the lowered graph.
        snr_db: The source's outputs over the difference of the lowered graph's.
        judged: How many labelled samples were answered.
        accuracy: The score on all of them.
        interval: The ends of its 95 % confidence interval.
        drop: How much lower than the source's score it is.
        drop_interval: The ends of its 95 % confidence interval.
        size_bytes: Of the deployed files.
        passes: What its passes took.
        seconds: What all of it took.
        worker: Where it was.
        same_as: The trial that has the same lowered graph; None for none.
    """

    stage: Stage
    why: str = ""
    macs: int | None = None
    parameters: int | None = None
    lowered_sha256: str | None = None
    snr_db: float | None = None
    judged: int = 0
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    drop: float | None = None
    drop_interval: tuple[float, float] | None = None
    size_bytes: int | None = None
    passes: tuple[PassTime, ...] = ()
    seconds: float = 0.0
    worker: str = ""
    same_as: int | None = None

    @property
    def is_feasible(self) -> bool:
        """Whether it is an artefact that may be picked."""
        return self.stage == "accurate"

    def ended(self, stage: Stage, why: str = "") -> Outcome:
        """The same, as far as it came."""
        return replace(self, stage=stage, why=why)

    def document(self) -> dict[str, Any]:
        """As JSON data; an infinite ratio of signal to noise is null."""
        finite = self.snr_db is not None and math.isfinite(self.snr_db)
        return {
            **vars(self),
            "snr_db": self.snr_db if finite else None,
            "interval": None if self.interval is None else list(self.interval),
            "drop_interval": None if self.drop_interval is None else list(self.drop_interval),
            "passes": [[item.prefix, item.seconds, item.remembered] for item in self.passes],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Outcome:
        """The one that `document` was made of."""
        ends = {
            name: None if document[name] is None else tuple(document[name])
            for name in ("interval", "drop_interval")
        }
        passes = tuple(PassTime(*item) for item in document["passes"])
        return cls(**{**document, **ends, "passes": passes})


@dataclass(frozen=True)
class Bars:
    """What earlier trials say of those that are hopeless.

    Attributes:
        costs: Multiply-accumulates and parameters of candidates that are accurate enough, which
            differ from this one in pruning alone. One that has more of both is no better.
        snr_db: Below this candidates were not accurate enough.
        lowered: The trials of the same target and options by the hashes of their lowered graphs.
    """

    costs: tuple[tuple[int, int], ...] = ()
    snr_db: float = 0.0
    lowered: Mapping[str, int] = field(default_factory=dict)

    def costs_more(self, macs: int, parameters: int) -> bool:
        """Whether one of those has less of both."""
        return any(macs > less and parameters > fewer for less, fewer in self.costs)


@dataclass
class PassSavings:
    """How much of the passes' time the cache saved, over all trials.

    A pass that the cache knew saves what it took where it ran; one that never ran in this study
    counts for nothing.
    """

    spent: float = 0.0
    saved: float = 0.0
    _ran: dict[str, float] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Take in a trial."""
        for item in outcome.passes:
            self.spent += item.seconds
            if item.remembered:
                self.saved += max(0.0, self._ran.get(item.prefix, 0.0) - item.seconds)
            else:
                self._ran[item.prefix] = item.seconds

    @property
    def share(self) -> float:
        """From 0 to 1."""
        whole = self.spent + self.saved
        return self.saved / whole if whole else 0.0
