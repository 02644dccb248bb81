"""What each pass cost and what it made of the graph, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lprc.compiler.measure.pass_measures import Measure, PassMeasures
from lprc.core.costs.statistics import Statistics
from lprc.core.instruments.pass_statistics import SOURCE, PassStatistics
from lprc.core.instruments.timing import Timing
from lprc.core.instruments.verify import Verify
from lprc.core.passing.instrument import Instrument
from lprc.core.passing.manager import PassRecord
from lprc.core.running.input_sizes import InputSizes


@dataclass(frozen=True)
class PassCost:
    """One pass; what was not asked for, or could not be measured, is None.

    Attributes:
        position: Its place in the pipeline, from 0; -1 for the source graph.
        text: The pass with its options; ``source`` for that.
        changed: Whether it changed the graph.
        remembered: Whether a cache knew what it does, and it did not run.
        seconds: Wall time, without instruments.
        peak_bytes: The most memory that the whole process held while it ran.
        statistics: Of the graph after it.
        error: How far outputs moved, relative to their magnitude, since they were last compared.
        error_to_source: The same, since the source graph.
        accuracy: The score on ``--data``, 0 to 1.
        median_ms: Latency in ONNX Runtime.
    """

    position: int
    text: str
    changed: bool
    remembered: bool = False
    seconds: float | None = None
    peak_bytes: int | None = None
    statistics: Statistics | None = None
    error: float | None = None
    error_to_source: float | None = None
    accuracy: float | None = None
    median_ms: float | None = None

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class CostSettings:
    """What to find out of each pass.

    Attributes:
        timing: Seconds and peak memory.
        statistics: Nodes, parameters, multiply-accumulates, bytes.
        measure: Accuracy and latency; None for neither.
    """

    timing: bool = False
    statistics: bool = False
    measure: Measure | None = None

    def at_sizes(self, sizes: InputSizes) -> CostSettings:
        """The same, with latencies at sizes that are known."""
        if self.measure is None:
            return self
        return replace(self, measure=replace(self.measure, sizes=sizes))


@dataclass
class PassCosts:
    """The instruments that `settings` ask for, and what they found."""

    settings: CostSettings
    timing: Timing = field(default_factory=Timing)
    statistics: PassStatistics = field(default_factory=PassStatistics)
    measures: PassMeasures | None = None

    def __post_init__(self) -> None:
        """Make the instrument that measures."""
        if self.settings.measure is not None:
            self.measures = PassMeasures(self.settings.measure)

    @property
    def warnings(self) -> list[str]:
        """What could not be measured."""
        return [] if self.measures is None else self.measures.warnings

    def around(self, others: list[Instrument]) -> list[Instrument]:
        """All instruments in the order that they need, `others` among them."""
        found = [*others]
        if self.settings.statistics:
            found.append(self.statistics)
        if self.measures is not None:
            found.append(self.measures)
        return [self.timing, *found, self.timing.mark] if self.settings.timing else found

    def rows(self, records: list[PassRecord], verify: Verify | None) -> list[PassCost]:
        """The source's row, then one for each pass; none where nothing was asked for."""
        if self.settings == CostSettings():
            return []
        return list(self._rows(records, verify))

    def _rows(self, records: list[PassRecord], verify: Verify | None) -> Iterator[PassCost]:
        source = self._measured(SOURCE)
        yield PassCost(SOURCE, "source", changed=False, **source)
        statistics = source["statistics"]
        for record in records:
            costs = self._measured(record.position)
            # What changed nothing has what was there before; it was not measured again.
            statistics = costs["statistics"] = costs["statistics"] or statistics
            if self.settings.timing:
                timing = self.timing.passes[record.position]
                costs |= {"seconds": timing.seconds, "peak_bytes": timing.peak_bytes}
            if verify is not None:
                costs["error"] = verify.worst(record.position)
                costs["error_to_source"] = verify.worst(record.position, since_source=True)
            yield PassCost(record.position, record.text, record.changed, record.remembered, **costs)

    def _measured(self, position: int) -> dict[str, Any]:
        measures = self.measures
        return {
            "statistics": self.statistics.after.get(position),
            "accuracy": None if measures is None else measures.accuracy.get(position),
            "median_ms": None if measures is None else measures.median_ms.get(position),
        }
