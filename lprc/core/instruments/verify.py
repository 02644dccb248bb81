"""Checks that each pass keeps its promise, by running the graph before and after."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import onnx_ir as ir

from lprc.core.errors import LprcError, PromiseBrokenError
from lprc.core.instruments.broken_promise import write_reproducer
from lprc.core.instruments.graph_store import GraphStore
from lprc.core.instruments.verify_inputs import VerifyInputs
from lprc.core.instruments.verify_kinds import InputKinds, unjudged_outputs
from lprc.core.instruments.verify_runs import (
    Outputs,
    batch_of,
    culprit,
    loosest,
    may_vary,
    not_compared,
    only,
    worst_deltas,
)
from lprc.core.instruments.verify_translation import translate
from lprc.core.passing.contract import Contract
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pipeline import Pipeline
from lprc.core.passing.translation import TranslatedRuns, Translation
from lprc.core.running.agreement import mean_agreement
from lprc.core.running.decisions import decided_outputs, share_of_others
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.isolated_session import IsolatedSession
from lprc.core.running.noise import amplified, moved_beyond
from lprc.core.running.numerics import (
    Arrays,
    OutputDelta,
    RunError,
    compare,
    dynamic_step,
    rounding,
)
from lprc.core.running.runner import Runs
from lprc.core.running.signal_to_noise import noisiest
from lprc.core.running.size_search import UnrunnableError

Mode = Literal["final", "each"]


@dataclass(frozen=True)
class _Reference:
    """A graph as it was, as bytes or as a file, and what it puts out.

    Attributes:
        data: The graph.
        outputs: None if it can't be run.
        rounding: The relative difference that its element types make unavoidable.
        step: The one that its dynamic quantisation does.
    """

    data: bytes | Path
    outputs: Outputs | None
    rounding: float = 0.0
    step: float = 0.0


class Verify(Instrument):
    """Runs graphs in ONNX Runtime and holds every pass to its contract.

    A promise for one batch size is judged at that batch size only. A lossy pass is not judged, and
    what it made is the next reference. So is the first graph that runs where the source does not.
    A pass that changes what the graph takes or puts out is judged alone, by its own translation of
    inputs and outputs, and everything behind it by its new interface.

    Args:
        mode: ``each`` checks after every pass that changed something, ``final`` once, under the
            loosest contract of those passes (and once more before every lossy pass).
        inputs: Real inputs by name; by default random ones from `seed`.
        seed: Of the random inputs.
        sizes: Sizes of symbolic dimensions; those that are not known are searched for.
        reproducer: The folder to write when a promise is broken: both graphs, the inputs and the
            pipeline. None writes nothing.
        strict: Whether differences that rounding makes break promises, too.

    Attributes:
        deltas: The outputs' differences by the pass's position; in ``final`` mode at the last.
        since_source: The same, but since the source graph (or the first one that runs), where the
            outputs can be compared.
        noisiest: The float output that is farthest from the source's now, and its decibels.
        agreement: How far outputs agree with the source's now, as of
            `lprc.core.running.agreement`; None where they were not compared.
        warnings: What could not be checked, and why.
        remarks: What was checked, and says less than one would think.
        failure: Why neither the source nor any later graph runs; None where one does, and where
            ONNX Runtime can't even load them.
    """

    def __init__(
        self,
        mode: Mode = "each",
        *,
        inputs: Sequence[Arrays] | None = None,
        seed: int = 0,
        sizes: InputSizes | None = None,
        reproducer: Path | None = None,
        strict: bool = False,
    ) -> None:
        self.mode = mode
        self.deltas: dict[int, list[OutputDelta]] = {}
        self.since_source: dict[int, list[OutputDelta]] = {}
        self.noisiest: tuple[str, float] = ("", math.inf)
        self.agreement: float | None = None
        self.warnings: list[str] = []
        self.remarks: list[str] = []
        self.failure: LprcError | None = None
        self._seed = seed
        self._reproducer = reproducer
        self._strict = strict
        self._inputs = VerifyInputs(inputs, seed, sizes)
        self._graphs = GraphStore()
        self._reference = _Reference(b"", None)
        self._source: Outputs = {}
        self._batches: set[int] = set()
        self._changed: list[PassRecord] = []
        self._kinds = InputKinds(seed)

    @property
    def sizes(self) -> InputSizes:
        """What was given, and what was found besides, of the first graph that runs."""
        return self._inputs.sizes

    @property
    def invented(self) -> dict[str, int]:
        """Sizes of other dimensions than a batch that were made up, by label."""
        return self._inputs.invented

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Choose the inputs and run the source graph.

        Raises:
            NoInputsError: No inputs were given, and none can be made up for this graph.
        """
        batches = {item.contract.batch for item in pipeline.passes if item.contract.batch}
        self._inputs.promised = sorted(batches)
        self._take_as_reference(model, "the source graph")

    def reads(self, item: Pass) -> bool:
        """In ``final`` mode it looks around lossy passes, and for a first graph that runs."""
        if self.mode == "each" or self._reference.outputs is None or item.changes_interface:
            return True
        return item.contract.kind != "exact"

    def before_pass(self, model: ir.Model, item: Pass, position: int) -> None:
        """Check what exact passes did before one that is not; all passes before a lossy one.

        Raises:
            PromiseBrokenError: The outputs moved by more than the loosest contract allows.
        """
        if item.contract.kind == "lossy" or item.changes_interface:
            self.finish(model, [])
        elif item.contract.kind != "exact":
            self._check_kinds(model)

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Check the pass, or remember it for the end.

        Raises:
            PromiseBrokenError: The outputs moved by more than the pass's contract allows.
        """
        if not record.changed:
            return
        translation = record.translation
        if self._reference.outputs is None:
            if translation is not None:
                self._inputs.translate(translation, range(len(self._inputs)))
            self._take_as_reference(model, f"the graph after '{record.text}'")
            return
        if translation is not None:
            self._translate(translation, self._reference.outputs)
        if self.mode == "each" or record.contract.kind == "lossy" or translation is not None:
            self._compare(model, [record])
        else:
            self._changed.append(record)
        if record.contract.kind == "exact" and translation is None:
            self._kinds.add(record)
        else:
            self._begin_kinds(model, self._current(model))

    def _translate(self, translation: Translation, outputs: Outputs) -> None:
        """Hold what follows to the graph so far, by what its inputs and outputs have become."""
        data = self._reference.data
        expected, self._source = translate(
            translation, self._inputs, outputs, self._source, lambda: IsolatedSession(data)
        )
        self._reference = replace(self._reference, outputs=expected)

    def finish(self, model: ir.Model, records: list[PassRecord]) -> None:
        """In ``final`` mode, check the whole.

        Raises:
            PromiseBrokenError: The outputs moved by more than the loosest contract allows.
        """
        if self._reference.outputs is None:
            return
        if self._changed:
            self._compare(model, self._changed)
        self._changed = []
        self._check_kinds(model)

    def _current(self, model: ir.Model) -> bytes | Path:
        """`model`, stored: the reference is it, unless passes changed it since."""
        return self._store(model) if self._changed else self._reference.data

    def _begin_kinds(self, model: ir.Model, data: bytes | Path) -> None:
        fitting = self._inputs.fitting(model)
        if fitting:
            self._kinds.begin(model, data, fitting[0][1])

    def _check_kinds(self, model: ir.Model) -> None:
        """Judge exact passes on inputs of other kinds, too."""
        if not self._kinds.records:
            return
        data = self._current(model)
        broken = self._kinds.check(model, data)
        if broken is not None:
            deltas = "; ".join(map(str, broken.deltas[:3]))
            what = f"promised exact, but on {broken.kind} inputs {deltas}"
            raise self._broken(data, broken.records, what, broken.before, broken.inputs)
        self._begin_kinds(model, data)

    def _take_as_reference(self, model: ir.Model, what: str) -> None:
        data = self._store(model)
        had_none = bool(self.warnings)
        outputs: Outputs | None = None
        session: IsolatedSession | None = None
        try:
            session = IsolatedSession(data)
            self._inputs.choose(model, session)
            outputs = self._inputs.outputs(model, session)
            first = self._inputs.fitting(model)[:1] if may_vary(model) else []
            again = _run(session, first)
            self.failure = None
        except (RunError, UnrunnableError) as error:
            self.failure = None if session is None else error
            if session is None or not len(self._inputs):
                self._inputs.choose(model, None)
            if not had_none:
                self.warnings.append(f"not verified: {what} does not run: {error.message}")
        else:
            if any(not delta.within(0.0) for delta in worst_deltas(again, outputs)):
                self.warnings.append(f"not verified: {what} puts out something else each time")
                outputs = None
            elif had_none:
                self.warnings.append(f"verified from {what} on")
        self._reference = _Reference(data, outputs, rounding(model), dynamic_step(model))
        self._source = outputs or {}
        if outputs is not None:
            self.remarks += self._constant_outputs(model, session, outputs)
            self._begin_kinds(model, data)

    def _constant_outputs(
        self, model: ir.Model, session: IsolatedSession | None, outputs: Outputs
    ) -> list[str]:
        if session is None:
            return []
        first = self._inputs[next(iter(outputs))]
        return unjudged_outputs(model, session, first, list(outputs.values()), self._seed)

    def _compare(self, model: ir.Model, records: list[PassRecord]) -> None:
        """Judge `records` together and make `model` the next reference."""
        contract = loosest([record.contract for record in records])
        data, fitting = self._store(model), self._inputs.fitting(model)
        before = self._before(fitting)
        try:
            after = _run(IsolatedSession(data), fitting)
        except RunError as error:
            first = self._inputs[next(iter(before), 0)]
            reference = self._reference.data
            raise self._broken(data, records, error.message, reference, first) from error
        if contract.kind != "lossy":
            judged = {
                number: outputs
                for number, outputs in before.items()
                if contract.batch in (None, batch_of(self._inputs[number]))
            }
            if judged:
                # What computes in float16 is judged by float16's rounding, if that is promised.
                coarse = rounding(model) if contract.kind == "approximate" else 0.0
                unit = max(self._reference.rounding, coarse)
                # What a translation computes in numpy differs in its last digits.
                decided = frozenset() if records[-1].translation is None else decided_outputs(model)
                self._judge(data, records, contract, judged, after, unit, decided)
            else:
                self.warnings.append(not_compared(records, contract))
        if records[-1].position not in self.deltas:
            self.deltas[records[-1].position] = worst_deltas(before, after)
        self._compare_with_source(records, after)
        coarsest = max(self._reference.rounding, rounding(model))
        self._reference = _Reference(data, after, coarsest, dynamic_step(model))

    def _compare_with_source(self, records: list[PassRecord], after: Outputs) -> None:
        """Where a pass has promised nothing but for one batch size, at that one only."""
        self._batches.update(record.contract.batch for record in records if record.contract.batch)
        common = {
            number: outputs
            for number, outputs in self._source.items()
            if number in after and self._batches <= {batch_of(self._inputs[number])}
        }
        if common:
            deltas = worst_deltas(common, after)
            self.since_source[records[-1].position] = deltas
            comparable = {delta.name for delta in deltas if delta.mismatch is None}
            pairs = [
                (only(outputs, comparable), after[number]) for number, outputs in common.items()
            ]
            self.noisiest, self.agreement = noisiest(pairs), mean_agreement(pairs)

    def worst(self, position: int, *, since_source: bool = False) -> float | None:
        """The largest relative difference found after a pass; None where none was looked for.

        Args:
            position: Of the pass.
            since_source: Whether to compare with the source graph, not with the last reference.
        """
        found = (self.since_source if since_source else self.deltas).get(position)
        comparable = [delta for delta in found or () if delta.mismatch is None]
        return max((delta.relative for delta in comparable), default=None)

    def _before(self, fitting: list[tuple[int, Arrays]]) -> Outputs:
        """What the reference puts out for the input sets that fit both graphs."""
        known = self._reference.outputs or {}
        found = {number: known[number] for number, _ in fitting if number in known}
        if found:
            return found
        try:
            return _run(IsolatedSession(self._reference.data), fitting)
        except RunError:
            return {}

    def _judge(
        self,
        data: bytes | Path,
        records: list[PassRecord],
        contract: Contract,
        before: Outputs,
        after: Outputs,
        unit: float,
        decided: frozenset[str],
    ) -> None:
        """Hold outputs to a contract.

        Args:
            data: The graph that is judged.
            records: The passes that made it.
            contract: What they promised together.
            before: Outputs of the reference, by the number of the input set.
            after: The graph's.
            unit: The relative difference of one rounding in the coarser of both graphs.
            decided: Outputs of which a share of elements as large as the tolerance may be others.

        Raises:
            PromiseBrokenError: An output moved farther than that, and than rounding moves it.
        """
        tolerance = max(contract.tolerance, self._reference.rounding, self._reference.step)
        worst = self.deltas[records[-1].position] = worst_deltas(before, after)
        for number in before:
            run = (self._inputs[number], before[number], after[number])
            bad = [
                delta
                for delta in self._moved(
                    number,
                    before[number],
                    after[number],
                    tolerance,
                    unit,
                    records[-1].translation,
                )
                if delta.name not in decided or share_of_others(delta.name, [run]) > tolerance
            ]
            if bad:
                what = f"promised {contract}, but {'; '.join(map(str, bad[:3]))}"
                reference = self._reference.data
                raise self._broken(data, records, what, reference, self._inputs[number])
        far = [delta for delta in worst if not delta.within(tolerance)]
        if far:
            self.remarks.append(amplified(far, culprit(records)))

    def _moved(
        self,
        number: int,
        before: Arrays,
        after: Arrays,
        tolerance: float,
        unit: float,
        translation: Translation | None,
    ) -> list[OutputDelta]:
        """The outputs for one set of inputs that moved by more than they may."""
        if self._strict:
            return [delta for delta in compare(before, after) if not delta.within(tolerance)]
        return moved_beyond(
            before,
            after,
            tolerance,
            reference=lambda: self._reference_runs(translation),
            inputs=self._inputs[number],
            rounding=unit,
        )

    def _reference_runs(self, translation: Translation | None) -> Runs:
        """The reference, as what a pass that changed its interface has made of it."""
        session = IsolatedSession(self._reference.data)
        return session if translation is None else TranslatedRuns(session, translation)

    def _broken(
        self,
        data: bytes | Path,
        records: list[PassRecord],
        what: str,
        before: bytes | Path,
        inputs: Arrays,
    ) -> PromiseBrokenError:
        one = len(records) == 1
        finder = "lprc bisect" if self.mode == "each" else "--verify each"
        hints = [] if one else [f"{finder} finds the pass"]
        if self._reproducer is not None:
            texts = [record.text for record in records]
            write_reproducer(self._reproducer, before, data, texts, inputs)
            hints.append(f"both graphs and the inputs are in {self._reproducer}")
        return PromiseBrokenError(
            what,
            where=culprit(records),
            hint="; ".join(hints) or None,
            pass_name=records[0].name if one else None,
        )

    def _store(self, model: ir.Model) -> bytes | Path:
        return self._graphs.stored(model, (self._reference.data, self._kinds.before))


def _run(session: IsolatedSession, inputs: Iterable[tuple[int, Arrays]]) -> Outputs:
    return {number: session.run(arrays) for number, arrays in inputs}
