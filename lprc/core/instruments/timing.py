"""How long each pass takes, and how much memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

import onnx_ir as ir

from lprc.core.instruments.base import Instrument
from lprc.core.manager import PassRecord
from lprc.core.pass_base import Pass


@dataclass(frozen=True)
class PassTiming:
    """What one pass cost.

    Attributes:
        position: The pass's place in the pipeline, from 0.
        text: The pass with its options.
        seconds: Wall time, without instruments.
        peak_bytes: The most memory that Python and numpy held at once above what they held when
            the pass began; None where it was not asked for.
    """

    position: int
    text: str
    seconds: float
    peak_bytes: int | None = None


class Timing(Instrument):
    """Collects what each pass costs.

    Args:
        memory: Whether to trace memory too, which makes passes several times slower.

    Attributes:
        passes: One entry a pass, in order.
    """

    def __init__(self, *, memory: bool = False) -> None:
        self.passes: list[PassTiming] = []
        self._memory = memory
        self._held = 0
        self._started_tracing = False

    @property
    def seconds(self) -> float:
        """What all passes took together."""
        return sum(item.seconds for item in self.passes)

    def before_pass(self, model: ir.Model, item: Pass, position: int) -> None:
        """Begin to trace memory."""
        if not self._memory:
            return
        if not tracemalloc.is_tracing():
            tracemalloc.start()
            self._started_tracing = True
        tracemalloc.reset_peak()
        self._held = tracemalloc.get_traced_memory()[0]

    def after_pass(self, model: ir.Model, item: Pass, record: PassRecord) -> None:
        """Note what the pass cost."""
        peak = None
        if self._memory:
            peak = max(0, tracemalloc.get_traced_memory()[1] - self._held)
            if self._started_tracing:
                tracemalloc.stop()
                self._started_tracing = False
        self.passes.append(PassTiming(record.position, record.text, record.seconds, peak))
