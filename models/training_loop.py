"""Training from a step to the last one, and what is kept on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Progress = Callable[[float, int], object]
"""Called with the number of steps done and the number in all."""


class Resumable(Protocol):
    """A network in training."""

    step: int
    best: float

    def save(self, path: Path) -> None:
        """Write what an identical continuation needs."""


@dataclass(frozen=True)
class Look:
    """How far a training is.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        loss: Mean of the steps since the look before.
        score: Of what is held out, 0 to 1.
    """

    step: int
    steps: int
    loss: float
    score: float

    def __str__(self) -> str:
        """For instance ``step 200 of 4500: loss 0.1234``."""
        return f"step {self.step} of {self.steps}: loss {self.loss:.4f}"


def train_to_the_end(
    trainer: Resumable,
    out: Path,
    *,
    steps: int,
    train_step: Callable[[], float],
    score: Callable[[], float],
    evaluate_every: int,
    progress: Progress | None,
    looked: Callable[[Look], None],
    enough: float = 1.0,
) -> float:
    """Train until the last step or `enough`; return the best held-out score.

    `out` gets ``last.pt`` after every evaluation and ``best.pt`` after each that is no worse than
    all before it.

    Args:
        trainer: What is trained.
        out: A folder.
        steps: The number of the last step.
        train_step: Takes one and returns its loss.
        score: Of what is held out, 0 to 1.
        evaluate_every: After how many steps it is asked for.
        progress: Called after each step.
        looked: Called after each evaluation.
        enough: The score to stop at.

    Raises:
        DataError: The loss is not finite.
    """
    losses: list[float] = []
    while trainer.step < steps:
        losses.append(train_step())
        if progress is not None:
            progress(trainer.step, steps)
        if trainer.step % evaluate_every and trainer.step < steps:
            continue
        reached = score()
        better, trainer.best = reached >= trainer.best, max(reached, trainer.best)
        trainer.save(out / "last.pt")
        if better:
            trainer.save(out / "best.pt")
        looked(Look(trainer.step, steps, sum(losses) / len(losses), reached))
        losses.clear()
        if reached >= enough:
            break
    return trainer.best
