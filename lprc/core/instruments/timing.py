"""How long each pass takes, and how much memory the process holds meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.passing.pass_base import Pass
from lprc.core.process import peak_memory


@dataclass(frozen=True)
class PassTiming:
    """What one pass cost.

    Attributes:
        position: The pass's place in the pipeline, from 0.
        text: The pass with its options.
        seconds: Wall time, without instruments.
        peak_bytes: The most memory that the whole process held while it ran; None where the
            system does not tell.
    """

    position: int
    text: str
    seconds: float
    peak_bytes: int | None = None


class Timing(Instrument):
    """Collects what each pass costs. It must be the first instrument, and `mark` the last.

    Attributes:
        passes: One entry a pass, in order.
        mark: The instrument that marks where a pass begins.
    """

    def __init__(self) -> None:
        self.passes: list[PassTiming] = []
        self.mark = _Mark()

    @property
    def seconds(self) -> float:
        """What all passes took together."""
        return sum(item.seconds for item in self.passes)

    def reads(self, item: Pass) -> bool:
        """It never looks at the model."""
        return False

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Note what the pass cost."""
        peak = peak_memory.peak_bytes() if self.mark.known else None
        self.passes.append(PassTiming(record.position, record.text, record.seconds, peak))


class _Mark(Instrument):
    """Makes the high-water mark of memory begin where a pass begins."""

    def __init__(self) -> None:
        self.known = False

    def reads(self, item: Pass) -> bool:
        """It never looks at the model."""
        return False

    def before_pass(self, model: ir.Model, item: Pass, position: int) -> None:
        """Begin anew."""
        self.known = peak_memory.reset()
