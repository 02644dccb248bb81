"""The pass manager: runs a pipeline over a model, with instruments around every pass."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core import editing, provenance
from lprc.core.collector import collector_paused
from lprc.core.contract import Contract
from lprc.core.instruments.base import Instrument
from lprc.core.numerics import Arrays
from lprc.core.pass_base import Pass, PassContext, Rewrite, Skip
from lprc.core.pipeline import Pipeline, pass_text


@dataclass(frozen=True)
class PassRecord:
    """What one pass did.

    Attributes:
        position: The pass's place in the pipeline, from 0.
        name: The pass's name.
        text: The pass with its options, as pipeline text.
        contract: What it promised.
        rewrites: What it rewrote.
        skips: What it left alone, and why.
        seconds: How long it took, without its instruments.
    """

    position: int
    name: str
    text: str
    contract: Contract
    rewrites: tuple[Rewrite, ...]
    skips: tuple[Skip, ...]
    seconds: float

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
    """

    def __init__(
        self,
        pipeline: Pipeline,
        instruments: Sequence[Instrument] = (),
        *,
        calibration: Sequence[Arrays] = (),
    ) -> None:
        self.pipeline = pipeline
        self.instruments = tuple(instruments)
        self._calibration = calibration

    def run(self, model: ir.Model) -> list[PassRecord]:
        """Rewrite `model` in place and say what each pass did.

        Raises:
            PromiseBrokenError: An instrument found that a pass broke its contract.
            LprcError: A pass was given something that it can't work with.
        """
        provenance.stamp(model)
        for instrument in self.instruments:
            instrument.start(model, self.pipeline)
        records = []
        for position, item in enumerate(self.pipeline.passes):
            for instrument in self.instruments:
                instrument.before_pass(model, item, position)
            record = self._run_one(model, item, position)
            records.append(record)
            for instrument in self.instruments:
                instrument.after_pass(model, item, record)
        for instrument in self.instruments:
            instrument.finish(model, records)
        return records

    def _step(self, position: int, done: int, total: int) -> None:
        for instrument in self.instruments:
            instrument.during_pass(position, done, total)

    def _run_one(self, model: ir.Model, item: Pass, position: int) -> PassRecord:
        context = PassContext(
            calibration=self._calibration,
            progress=lambda done, total: self._step(position, done, total),
        )
        with collector_paused():
            editing.share_names(model)
        started = time.perf_counter()
        with collector_paused():
            item.run(model, context)
        seconds = time.perf_counter() - started
        return PassRecord(
            position=position,
            name=item.name,
            text=pass_text(item),
            contract=item.contract,
            rewrites=tuple(context.rewrites),
            skips=tuple(context.skips),
            seconds=seconds,
        )
