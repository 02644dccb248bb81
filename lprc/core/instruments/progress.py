"""Tells a listener which pass is running."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pipeline import Pipeline


class Progress(Instrument):
    """Calls `report(done, total)` after each pass, and with fractions within a long one.

    Args:
        report: For instance one that moves a bar.
    """

    def __init__(self, report: Callable[[float, int], None]) -> None:
        self._report = report
        self._total = 0

    def reads(self, item: Pass) -> bool:
        """It never looks at the model."""
        return False

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Learn how many passes there will be."""
        self._total = len(pipeline.passes)

    def during_pass(self, position: int, done: int, total: int) -> None:
        """Report a fraction of a pass."""
        self._report(position + done / max(1, total), self._total)

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Report one more."""
        self._report(record.position + 1, self._total)
