"""The pass manager: runs a pipeline over a model, with instruments around every pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import onnx_ir as ir

from lprc.core.errors import LprcError
from lprc.core.graph import editing, provenance
from lprc.core.graph.contradictions import contradiction, contradictions_blamed
from lprc.core.passing.contract import Contract
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.pass_base import Pass, PassContext, Rewrite, Skip, Undeclared
from lprc.core.passing.pass_order import State
from lprc.core.passing.pipeline import Pipeline, pass_text
from lprc.core.passing.result_memory import PassMemory, Remembered
from lprc.core.passing.translation import TranslatedSamples, Translation
from lprc.core.process.blas_threads import one_blas_thread
from lprc.core.process.collector import collector_paused
from lprc.core.running.numerics import Arrays


@dataclass(frozen=True)
class PassRecord:
    """What one pass did.

    Attributes:
        position: The pass's place in the pipeline, from 0.
        name: The pass's name.
        text: The pass with its options, as pipeline text.
        contract: What it promised.
        states: What it leaves in the graph (`Pass.states`).
        rewrites: What it rewrote.
        skips: What it left alone, and why.
        seconds: How long it took, without its instruments.
        remembered: Whether it did not run, as an earlier run of it on the same model is known.
        translation: How inputs and outputs from before it become those behind it; None where it
            left the interface as it was.
    """

    position: int
    name: str
    text: str
    contract: Contract
    states: tuple[State, ...]
    rewrites: tuple[Rewrite, ...]
    skips: tuple[Skip, ...]
    seconds: float
    remembered: bool = False
    translation: Translation | None = None

    @property
    def changed(self) -> bool:
        """Whether the pass says that it changed the model."""
        return bool(self.rewrites)


class PassManager:
    """Runs the passes of a pipeline in order, each once.

    Args:
        pipeline: The passes.
        instruments: What to do around each pass. They see the passes in the order given.
        calibration: Inputs for data-driven passes.
        memory: Knows what passes did in earlier runs; those need not run again. It is not asked,
            nor told, where rewrites are limited: what such a pass makes is but a part of it.
        rewrite_limits: How many rewrites a pass may make, by its position (as LLVM's
            ``-opt-bisect-limit``); as many as it likes where none is given.
        rewrites_allowed: Asked of each rewrite of a pass, by the pass's position.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        instruments: Sequence[Instrument] = (),
        *,
        calibration: Sequence[Arrays] = (),
        memory: PassMemory | None = None,
        rewrite_limits: Mapping[int, int] | None = None,
        rewrites_allowed: Mapping[int, Callable[[Rewrite], bool]] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.instruments = tuple(instruments)
        self._calibration = calibration
        self._rewrite_limits = rewrite_limits or {}
        self._rewrites_allowed = rewrites_allowed or {}
        self._complaint: str | None = None
        self._memory = None if rewrite_limits or rewrites_allowed else memory

    def run(self, model: ir.Model) -> list[PassRecord]:
        """Rewrite `model` in place and say what each pass did.

        Raises:
            PromiseBrokenError: An instrument found that a pass broke its contract.
            LprcError: A pass was given something that it can't work with.
        """
        with one_blas_thread(), collector_paused() if self._makes_no_models() else nullcontext():
            return self._run_all(model)

    def _makes_no_models(self) -> bool:
        """Whether nothing but the passes' own rewrites makes objects that refer to each other.

        Instruments that read a model may make copies of it, and passes that read samples too;
        those are large, and the collector has to run between passes to free them.
        """
        return not any(
            item.reads_calibration or any(each.reads(item) for each in self.instruments)
            for item in self.pipeline.passes
        )

    def _run_all(self, model: ir.Model) -> list[PassRecord]:
        provenance.stamp(model)
        self._complaint = contradiction(model)
        for instrument in self.instruments:
            instrument.start(model, self.pipeline)
        if self._memory is not None:
            self._memory.start(model, self._calibration)
        records = []
        for position, item in enumerate(self.pipeline.passes):
            for instrument in self.instruments:
                if instrument.reads(item):
                    self._catch_up(model)
                instrument.before_pass(model, item, position)
            translation = self._translation(model, item)
            record = self._recall(item, position) or self._run_one(model, item, position)
            if record.changed and translation is not None:
                record = replace(record, translation=translation)
                self._translate(translation)
            records.append(record)
            for instrument in self.instruments:
                if record.changed and instrument.reads(item):
                    self._catch_up(model)
                instrument.after_pass(model, item, record)
        self._catch_up(model)
        for instrument in self.instruments:
            instrument.finish(model, records)
        return records

    def _translation(self, model: ir.Model, item: Pass) -> Translation | None:
        """What the pass says of samples; asked of the model in front of it."""
        if not item.changes_interface:
            return None
        self._catch_up(model)
        with _blaming(item, self._complaint):
            return item.translation(model)

    def _translate(self, translation: Translation) -> None:
        self._calibration = TranslatedSamples(self._calibration, translation)
        if self._memory is not None:
            self._memory.translate(self._calibration)

    def _step(self, position: int, done: int, total: int) -> None:
        for instrument in self.instruments:
            instrument.during_pass(position, done, total)

    def _catch_up(self, model: ir.Model) -> None:
        if self._memory is not None:
            self._memory.catch_up(model)

    def _recall(self, item: Pass, position: int) -> PassRecord | None:
        """What the pass did in an earlier run; None where it has to run."""
        started = time.perf_counter()
        known = self._memory.recall(item) if self._memory is not None else None
        if known is None:
            return None
        seconds = time.perf_counter() - started
        return _record(item, position, known, seconds, remembered=True)

    def _run_one(self, model: ir.Model, item: Pass, position: int) -> PassRecord:
        self._catch_up(model)
        context = PassContext(
            rewrite_limit=self._rewrite_limits.get(position),
            rewrites_allowed=self._rewrites_allowed.get(position),
            calibration=self._calibration if item.reads_calibration else Undeclared(item.name),
            progress=lambda done, total: self._step(position, done, total),
        )
        with collector_paused():
            editing.share_names(model)
            started = time.perf_counter()
            with _blaming(item, self._complaint):
                item.run(model, context)
        seconds = time.perf_counter() - started
        done = Remembered(tuple(context.rewrites), tuple(context.skips))
        if self._memory is not None:
            self._memory.keep(model, item, done)
        return _record(item, position, done, seconds)


def _record(
    item: Pass, position: int, done: Remembered, seconds: float, *, remembered: bool = False
) -> PassRecord:
    return PassRecord(
        position=position,
        name=item.name,
        text=pass_text(item),
        contract=item.contract,
        states=item.states(),
        rewrites=done.rewrites,
        skips=done.skips,
        seconds=seconds,
        remembered=remembered,
    )


@contextmanager
def _blaming(item: Pass, complaint: str | None) -> Iterator[None]:
    try:
        with contradictions_blamed(complaint, f"pass '{item.name}'"):
            yield
    except LprcError as error:
        error.pass_name = error.pass_name or item.name
        raise
