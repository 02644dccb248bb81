"""A number that tells a good graph from a bad one, for instance ``accuracy>=0.90``."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir

from lprc.compiler.bisect.conditions import Judgement, Verdict, WholePipeline
from lprc.compiler.bisect.prefixes import Candidate
from lprc.compiler.measure.evaluation import evaluate
from lprc.compiler.measure.fidelity import AgreementJudge
from lprc.core.errors import InvalidModelError, UsageError
from lprc.core.onnx_io.model_io import PROTOBUF_LIMIT, save, weight_bytes
from lprc.core.running.numerics import Arrays, RunError, Session, compare
from lprc.core.running.signal_to_noise import SignalToNoise
from lprc.core.tasks.task_file import BY_MODEL, TaskChoice

WHERE = "--metric"

AT_LEAST = {
    "accuracy": "the task's score on --data, 0 to 1",
    "agreement": "positions whose largest class is the source's, 0 to 1",
    "snr": "signal-to-noise ratio of the outputs against the source's, in dB",
}
AT_MOST = {
    "max_abs": "largest absolute difference of an output from the source's",
    "bytes": "size of the ONNX file",
}
RELATIVE = frozenset({"agreement", "snr", "max_abs"})
"""Those that compare outputs with the source's."""
_FORM = re.compile(r"\s*([a-z_]+)\s*(>=|<=)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*\Z")


@dataclass(frozen=True)
class Metric:
    """``NAME>=BOUND`` or ``NAME<=BOUND``.

    Attributes:
        name: One of `AT_LEAST` or `AT_MOST`.
        bound: The least or the largest value of a good graph.
    """

    name: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Metric:
        """Read one.

        Raises:
            UsageError: Not of that form, an unknown metric, the wrong direction, or a bound that
                can't be met or missed.
        """
        match = _FORM.match(text)
        if match is None:
            raise _refused(f"'{text}' is not NAME>=NUMBER or NAME<=NUMBER")
        name, direction, bound = match[1], match[2], float(match[3])
        if name not in AT_LEAST and name not in AT_MOST:
            raise _refused(f"unknown metric '{name}'")
        wanted = ">=" if name in AT_LEAST else "<="
        if direction != wanted:
            raise _refused(f"'{name}' is good where it is {'high' if wanted == '>=' else 'low'}")
        if name in ("accuracy", "agreement") and not 0 <= bound <= 1:
            raise _refused(f"'{name}' is a fraction, and {match[3]} is not")
        if name in AT_MOST and bound < 0:
            raise _refused(f"'{name}' is never negative")
        return cls(name, bound)

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.name}{'>=' if self.name in AT_LEAST else '<='}{self.bound:.12g}"

    def holds(self, value: float) -> bool:
        """Whether a graph with this value is good."""
        return value >= self.bound if self.name in AT_LEAST else value <= self.bound


def _refused(message: str) -> UsageError:
    forms = [f"{name}>=" for name in AT_LEAST] + [f"{name}<=" for name in AT_MOST]
    hint = f"one of {', '.join(forms)} and a number, for instance 'accuracy>=0.9'"
    return UsageError(message, where=WHERE, hint=hint, option=WHERE)


class MetricCondition(WholePipeline):
    """Measures graphs; one that does not run where the source does is bad.

    Args:
        metric: What to measure.
        inputs: What to run graphs on; not for ``accuracy`` and ``bytes``.
        data: Labelled samples, for ``accuracy``.
        task: What the model is for.

    Raises:
        UsageError: ``accuracy`` without `data`.
    """

    def __init__(
        self,
        metric: Metric,
        inputs: Sequence[Arrays],
        data: Path | None = None,
        task: TaskChoice = BY_MODEL,
    ) -> None:
        if metric.name == "accuracy" and data is None:
            raise UsageError(
                "accuracy needs labels", where=WHERE, hint="add --data DIR", option="--data"
            )
        self.text = str(metric)
        self.relative = metric.name in RELATIVE
        self._metric = metric
        self._inputs = inputs
        self._data = data
        self._task = task
        self._reference: tuple[Candidate, Session, AgreementJudge] | None = None

    def judge(self, candidate: Candidate, start: Candidate) -> Judgement:
        """Measure one.

        Raises:
            DataError: Samples that the graph does not take.
        """
        measure: dict[str, Callable[[Candidate, Candidate], float]] = {
            "accuracy": self._accuracy,
            "agreement": self._agreement,
            "snr": self._decibels,
            "max_abs": self._largest,
            "bytes": self._bytes,
        }
        try:
            value = measure[self._metric.name](candidate, start)
        except (RunError, InvalidModelError) as error:
            # A start that does not run says nothing; what came of one that runs is broken.
            verdict = Verdict.UNKNOWN if candidate is start else Verdict.BAD
            return Judgement(verdict, error.message)
        verdict = Verdict.GOOD if self._metric.holds(value) else Verdict.BAD
        return Judgement(verdict, f"{self._metric.name} {value:.8g}")

    def _accuracy(self, candidate: Candidate, _: Candidate) -> float:
        assert self._data is not None
        with tempfile.TemporaryDirectory(prefix="lprc-bisect-") as folder:
            path = Path(folder) / "candidate.onnx"
            save(candidate.model, path)
            # One thread: how many there are may move a sum's last bit, and so an answer.
            return evaluate(path, self._data, task=self._task, threads=1).accuracy

    def _bytes(self, candidate: Candidate, _: Candidate) -> float:
        with tempfile.TemporaryDirectory(prefix="lprc-bisect-") as folder:
            save(candidate.model, Path(folder) / "candidate.onnx")
            return float(sum(path.stat().st_size for path in Path(folder).iterdir()))

    def _agreement(self, candidate: Candidate, start: Candidate) -> float:
        _, judge = self._start(start)
        return judge.score(session_of(candidate.model))

    def _decibels(self, candidate: Candidate, start: Candidate) -> float:
        reference, _ = self._start(start)
        session, ratio = session_of(candidate.model), SignalToNoise()
        for arrays in self._inputs:
            expected, found = reference.run(arrays), session.run(arrays)
            _same_outputs(expected, found)
            ratio.add(expected, found)
        return -math.inf if math.isnan(ratio.decibels) else ratio.decibels

    def _largest(self, candidate: Candidate, start: Candidate) -> float:
        reference, _ = self._start(start)
        session = session_of(candidate.model)
        deltas = [
            delta
            for arrays in self._inputs
            for delta in compare(reference.run(arrays), session.run(arrays))
        ]
        return max(math.inf if delta.mismatch else delta.max_abs for delta in deltas)

    def _start(self, start: Candidate) -> tuple[Session, AgreementJudge]:
        if self._reference is None or self._reference[0] is not start:
            session = session_of(start.model)
            self._reference = (start, session, AgreementJudge(session, self._inputs))
        return self._reference[1:]


def _same_outputs(expected: Arrays, found: Arrays) -> None:
    for name, array in expected.items():
        if name not in found or np.shape(found[name]) != np.shape(array):
            raise RunError(f"output '{name}' is gone or has another shape")


def session_of(model: ir.Model) -> Session:
    """A graph loaded in ONNX Runtime, from a file where it is larger than a message can be."""
    if weight_bytes(model) <= PROTOBUF_LIMIT:
        return Session(model)
    with tempfile.TemporaryDirectory(prefix="lprc-bisect-") as folder:
        path = Path(folder) / "candidate.onnx"
        save(model, path)
        return Session(path)
