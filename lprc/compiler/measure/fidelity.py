"""How true a quantised graph is to its float one: on labels, or by agreement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from lprc.compiler.measure.evaluation import sample_inputs, score_of
from lprc.core.running.agreement import mean_agreement
from lprc.core.running.numerics import Arrays, Session
from lprc.core.running.observe import spread
from lprc.core.running.signal_to_noise import Outputs
from lprc.core.tasks.interface import Interface
from lprc.core.tasks.task import Task


class Judge(Protocol):
    """Gives a graph a score from 0 to 1.

    Attributes:
        what: What the score is, for instance ``plate accuracy``.
    """

    what: str

    def score(self, session: Session) -> float:
        """The score of the graph that `session` runs."""


class TaskJudge:
    """The score of a task on labelled data.

    Args:
        data: Labelled samples.
        task: Fitted to the model.
        interface: The model's; every graph that is scored has it.

    Raises:
        DataError: Labels or files that can't be used.
    """

    def __init__(self, data: Path, task: Task, interface: Interface) -> None:
        self.what = task.metric
        self._samples = task.labelled(data)
        self._task = task
        self._interface = interface

    def score(self, session: Session) -> float:
        """The score's value."""
        interface = replace(self._interface, run=session.run)
        return score_of(self._task, interface, self._samples).value

    def inputs(self) -> list[Arrays]:
        """A few samples as inputs, to rank layers with."""
        return [
            sample_inputs(self._task, self._interface, item.path)
            for item in spread(self._samples, _FEW)
        ]


_FEW = 24


class AgreementJudge:
    """How much of what it puts out agrees with the float graph, without labels.

    As `lprc.core.running.agreement.agreement`, a mean over samples and outputs.

    Args:
        reference: The float graph.
        samples: Inputs; looked at one at a time.
    """

    what = "agreement with float32"

    def __init__(self, reference: Session, samples: Sequence[Arrays]) -> None:
        self._reference = reference
        self._samples = samples
        self._known: list[Outputs] = []
        self._bytes = 0

    def score(self, session: Session) -> float:
        """The mean agreement over samples and outputs."""
        runs = zip(self._samples, self._expected(), strict=True)
        mean = mean_agreement((expected, session.run(sample)) for sample, expected in runs)
        return 1.0 if mean is None else mean

    def _expected(self) -> Iterator[Outputs]:
        """What the float graph puts out: remembered for the first samples, else run again."""
        for index, sample in enumerate(self._samples):
            if index < len(self._known):
                yield self._known[index]
                continue
            outputs = self._reference.run(sample)
            if self._bytes < REMEMBERED:
                self._known.append(outputs)
                self._bytes += sum(array.nbytes for array in outputs.values())
            yield outputs


REMEMBERED = 2**28
"""Bytes of the float graph's outputs that are remembered from one score to the next."""
