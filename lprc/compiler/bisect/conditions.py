"""What tells a good graph from a bad one."""

from __future__ import annotations

import copy
import enum
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from lprc.compiler.bisect.prefixes import Candidate, Prefixes
from lprc.core.errors import PromiseBrokenError
from lprc.core.instruments.verify import Verify
from lprc.core.onnx_io.model_io import PROTOBUF_LIMIT, weight_bytes
from lprc.core.passing.contract import approximate
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pipeline import Pipeline
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays

Segment = tuple[int, int]
"""Numbers of passes run: the graph to measure with, and the last one to be measured with it."""


class Verdict(enum.Enum):
    """What a condition says of a graph."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "can't be judged"


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on."""

    verdict: Verdict
    detail: str = ""


class Condition(Protocol):
    """Judges graphs.

    Attributes:
        text: The condition in words.
        relative: Whether graphs are compared with the start, or each judged by itself.
    """

    text: str
    relative: bool

    def segments(self, prefixes: Prefixes) -> list[Segment]:
        """The parts of the pipeline to search, in order; each is measured from its own start."""

    def key(self, candidate: Candidate) -> Hashable:
        """What the judgement depends on besides the graph and the start."""

    def judge(self, candidate: Candidate, start: Candidate) -> Judgement:
        """Judge a graph, or the start itself.

        Args:
            candidate: The graph.
            start: The graph that is known to be good, to measure with.
        """


class WholePipeline:
    """What conditions that do not look at contracts have in common."""

    relative = False

    def segments(self, prefixes: Prefixes) -> list[Segment]:
        """All passes, measured from the source."""
        return [(0, len(prefixes))]

    def key(self, candidate: Candidate) -> Hashable:
        """Nothing but the graph counts."""
        return None


class WithinContracts:
    """Outputs stay within what the passes promise, or within one tolerance.

    As ``--verify final``: a graph is compared with the start under the loosest contract of the
    passes between. A lossy pass promises nothing about outputs, so what it makes is a new start;
    with a tolerance there are no lossy passes.

    Args:
        pipeline: The passes.
        inputs: Real inputs; None makes random ones from `seed`.
        seed: Of those.
        tolerance: Largest ``max|after - before| / max|before|`` of an output, whatever the
            contracts are.
        sizes: Of symbolic dimensions of random inputs.
    """

    relative = True

    def __init__(
        self,
        pipeline: Pipeline,
        inputs: Sequence[Arrays] | None,
        seed: int = 0,
        tolerance: float | None = None,
        sizes: InputSizes | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._inputs = inputs
        self._seed = seed
        self._sizes = sizes
        self._tolerance = tolerance
        self._begun: tuple[Candidate, frozenset[int | None], Verify] | None = None
        within = "the passes' contracts" if tolerance is None else f"{tolerance:g}"
        self.text = f"outputs within {within} of the source's"

    def segments(self, prefixes: Prefixes) -> list[Segment]:
        """The runs of passes between lossy ones that changed something."""
        cuts = [
            record.position
            for record in map(self._held, prefixes.records)
            if record.changed and record.contract.kind == "lossy"
        ]
        starts, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(prefixes)]
        return [pair for pair in zip(starts, ends, strict=True) if pair[0] < pair[1]]

    def key(self, candidate: Candidate) -> Hashable:
        """The contracts that hold for it."""
        return frozenset(self._held(record).contract for record in candidate.records)

    def judge(self, candidate: Candidate, start: Candidate) -> Judgement:
        """Run both in ONNX Runtime and compare."""
        # Verify finds inputs that fit both graphs and the batch sizes that contracts speak of.
        between = self._pipeline.passes[start.passes : len(candidate.records)]
        verify = self._begin(start, Pipeline(between))
        if candidate is start:
            return _first(verify.warnings)
        records = candidate.records[start.passes :]
        try:
            for item, record in zip(between, records, strict=True):
                verify.after_pass(candidate.model, item, self._held(record))
            verify.finish(candidate.model, [])
        except PromiseBrokenError as error:
            return Judgement(Verdict.BAD, error.message)
        if not any(record.changed for record in records):
            return Judgement(Verdict.GOOD, "nothing was rewritten")
        if not verify.deltas or verify.warnings:
            return Judgement(Verdict.UNKNOWN, "; ".join(verify.warnings) or "no common outputs")
        (deltas,) = verify.deltas.values()
        return Judgement(Verdict.GOOD, "; ".join(map(str, deltas[:3])))

    def _begin(self, start: Candidate, between: Pipeline) -> Verify:
        """Run the start, or remember that it ran."""
        batches = frozenset(item.contract.batch for item in between.passes)
        if self._begun is None or self._begun[0] is not start or self._begun[1] != batches:
            verify = Verify(
                "final",
                inputs=self._inputs,
                seed=self._seed,
                sizes=self._sizes,
                strict=self._tolerance is not None,
            )
            verify.start(start.model, between)
            if weight_bytes(start.model) > PROTOBUF_LIMIT:
                return verify  # it holds a file, and will remove it
            self._begun = (start, batches, verify)
        return copy.deepcopy(self._begun[2])

    def _held(self, record: PassRecord) -> PassRecord:
        if self._tolerance is None:
            return record
        contract = replace(approximate(self._tolerance), batch=record.contract.batch)
        return replace(record, contract=contract)


def _first(warnings: list[str]) -> Judgement:
    if warnings:
        return Judgement(Verdict.UNKNOWN, "; ".join(warnings))
    return Judgement(Verdict.GOOD, "the others are compared with it")
