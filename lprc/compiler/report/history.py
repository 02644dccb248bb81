"""The graph as it was after each pass that changed it, kept in memory for the report."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Pass
from lprc.core.passing.pipeline import Pipeline


@dataclass(frozen=True)
class Step:
    """One graph of the history.

    Attributes:
        position: Of the pass behind which the graph was like this; None for the source.
        label: The pass's name, or ``source``.
        model: A copy. Its weights are the originals', which no pass writes into, so that a copy
            costs what its nodes take.
    """

    position: int | None
    label: str
    model: ir.Model


class History(Instrument):
    """Keeps a copy of the graph before the first pass and after each that changed it.

    Attributes:
        steps: The source, then one a changing pass, in order.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def start(self, model: ir.Model, pipeline: Pipeline) -> None:
        """Keep the source; what an earlier run left is forgotten."""
        self.steps = [Step(None, "source", model.clone())]

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Keep the graph if the pass changed it."""
        if record.changed:
            self.steps.append(Step(record.position, record.name, model.clone()))
