"""What a pipeline runs on, what is observed meanwhile, and what is remembered for the next time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lprc.compiler.cache.cached_passes import StoredPasses
from lprc.compiler.cache.snapshot import UnreadableEntryError
from lprc.compiler.cache.store import Store
from lprc.compiler.measure.pass_costs import CostSettings
from lprc.core.instruments.print_changes import Printing
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.result_memory import PassMemory
from lprc.core.running.input_sizes import InputSizes
from lprc.core.running.numerics import Arrays

VerifyMode = Literal["off", "final", "each"]

Report = Callable[[float, int], None]
"""Called with the steps done and their number."""


@dataclass(frozen=True)
class Execution:
    """What passes and emitters run on, and how they are checked: this shapes the result.

    Attributes:
        verify: When graphs are run and compared: never, once at the end, after each change.
        inputs: Real inputs to verify with; None makes random ones from `seed`.
        calibration: Samples for data-driven passes.
        seed: Of the random inputs.
        sizes: Of their symbolic dimensions; those that are not known are searched for.
        shapes: Of inputs that the pipeline fixes in the graph.
        source: What to call the source graph in errors.
    """

    verify: VerifyMode = "final"
    inputs: Sequence[Arrays] | None = None
    calibration: Sequence[Arrays] = ()
    seed: int = 0
    sizes: InputSizes = field(default_factory=dict)
    shapes: InputSizes = field(default_factory=dict)
    source: str | None = None

    @property
    def measured_sizes(self) -> InputSizes:
        """What to measure latencies at: the sizes of real inputs, their batch apart, or `sizes`."""
        if not self.inputs:
            return self.sizes
        return {name: (None, *array.shape[1:]) for name, array in self.inputs[0].items()}


@dataclass(frozen=True)
class Observation:
    """What to look at while passes run; the result is the same without it.

    Attributes:
        progress: Called with the passes done and their number.
        printing: What to print around passes; None for nothing.
        costs: What to find out of each pass.
        dump_dir: Where to write the model after each change; None for nowhere.
        reproducer: Where to write the evidence of a broken promise; None for nowhere.
        check_passes: Whether to check that passes say truthfully whether they changed something.
        instruments: What else to do around passes.
    """

    progress: Report | None = None
    printing: Printing | None = None
    costs: CostSettings = field(default_factory=CostSettings)
    dump_dir: Path | None = None
    reproducer: Path | None = None
    check_passes: bool = False
    instruments: Sequence[Instrument] = ()


@dataclass(frozen=True)
class Memory:
    """What is known of earlier runs, and told of this one.

    Attributes:
        store: Where to look for what passes and emitters did before; None runs them all.
    """

    store: Store | None = None

    def distrusted(self, error: UnreadableEntryError) -> Memory:
        """None of it, after a forged entry came to light too late; the store says why."""
        if self.store is not None:
            self.store.refusals.append(f"{self.store.folder}: not used, {error}")
        return Memory()

    def of_passes(self, observation: Observation) -> PassMemory | None:
        """What remembers passes; None where every pass has to be seen at work."""
        if self.store is None or observation.check_passes:
            return None
        return StoredPasses(self.store)
