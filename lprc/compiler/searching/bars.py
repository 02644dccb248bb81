"""What earlier trials say of the next one, so that it ends early where it is hopeless."""

from __future__ import annotations

from collections.abc import Sequence

from lprc.compiler.searching.candidate import Candidate
from lprc.compiler.searching.outcome import Bars
from lprc.compiler.searching.study import Trial

SLACK = 3.0
"""Decibels below what was too inaccurate that a candidate must be to be hopeless."""


def bars_for(drawn: Candidate, trials: Sequence[Trial], *, accuracy_counts: bool) -> Bars:
    """The bars for a candidate.

    Args:
        drawn: It.
        trials: Those that ended.
        accuracy_counts: Whether accuracy is an objective; then one that costs more may be better.
    """
    own = [trial for trial in trials if trial.same_as is None]
    alike = [
        trial
        for trial in own
        if trial.candidate.target == drawn.target and trial.candidate.options == drawn.options
    ]
    costs: tuple[tuple[int, int], ...] = ()
    if not accuracy_counts:
        costs = tuple(
            (trial.outcome.macs, trial.outcome.parameters)
            for trial in alike
            if trial.outcome.is_feasible
            and trial.candidate.fixed_settings == drawn.fixed_settings
            and trial.outcome.macs is not None
            and trial.outcome.parameters is not None
        )
    return Bars(
        costs=costs,
        snr_db=_least_decibels(own),
        lowered={
            trial.outcome.lowered_sha256: trial.number
            for trial in alike
            if trial.outcome.lowered_sha256 is not None and trial.outcome.judged
        },
    )


def _least_decibels(trials: Sequence[Trial]) -> float:
    """Where outputs are so noisy that answers are wrong, from those that were answered.

    Below all that were accurate enough, and `SLACK` below the best that was not; noise that is
    louder than the signal is hopeless anyway.
    """
    answered = [trial.outcome for trial in trials if trial.outcome.judged]
    good = [item.snr_db for item in answered if item.is_feasible and item.snr_db is not None]
    if not good:
        return 0.0
    bad = [
        item.snr_db
        for item in answered
        if not item.is_feasible and item.snr_db is not None and item.snr_db < min(good)
    ]
    return max(0.0, max(bad, default=0.0) - SLACK)
