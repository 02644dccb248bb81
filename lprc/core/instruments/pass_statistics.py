"""What the graph costs after each pass that changed it."""

from __future__ import annotations

import onnx_ir as ir

from lprc.core.costs.statistics import Statistics, model_statistics
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pipeline import Pipeline


class PassStatistics(Instrument):
    """Collects the statistics of the source, and of the graph after each change.

    Attributes:
        after: By the pass's position; the source's at -1.
    """

    def __init__(self) -> None:
        self.after: dict[int, Statistics] = {}

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Count the source."""
        self.after[SOURCE] = model_statistics(model)

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Count again if the pass changed something."""
        if record.changed:
            self.after[record.position] = model_statistics(model)


SOURCE = -1
"""The position of the source graph, in front of the first pass."""
