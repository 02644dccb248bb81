"""The pipeline as a timeline, and each pass with what it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lprc.compiler.artifact.manifest import skip_counts
from lprc.compiler.measure.pass_costs import PassCost
from lprc.compiler.report.findings import Findings
from lprc.compiler.report.units import count_text, seconds_text, size_text
from lprc.core.costs.statistics import Statistics, model_statistics
from lprc.core.instruments.pass_statistics import SOURCE
from lprc.core.running.numerics import OutputDelta

WIDTH = 1000.0
"""Of the timeline, in units of its drawing."""


@dataclass(frozen=True)
class Cell:
    """A number as text, and by how much it moved; empty where it did not."""

    text: str = ""
    moved: str = ""


@dataclass(frozen=True)
class PassRow:
    """One pass of the table and of the timeline.

    Attributes:
        number: From 1.
        name: Of the pass.
        text: With its options.
        contract: ``exact``, ``approximate`` or ``lossy``, in full.
        kind: The first word of it.
        pair: Which pair of graphs shows what it changed; None where it changed nothing.
        rewrites: How many.
        skips: What it left alone, by reason.
        seconds: As text.
        start: Where its bar begins, of `WIDTH`.
        length: Of its bar.
        cells: Of the table's columns; empty where it changed nothing.
    """

    number: int
    name: str
    text: str
    contract: str
    kind: str
    pair: int | None
    rewrites: int
    skips: tuple[str, ...]
    seconds: str
    start: float
    length: float
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class PassTable:
    """All passes in order, the columns that hold something, and the source and lowered graphs."""

    columns: tuple[str, ...]
    rows: tuple[PassRow, ...]
    size_columns: tuple[str, ...]
    source: tuple[Cell, ...]
    lowered: tuple[Cell, ...]


_SIZES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("nodes", "nodes", count_text),
    ("parameters", "parameters", count_text),
    ("MACs", "macs", count_text),
    ("weights", "weight_bytes", size_text),
    ("peak activations", "activation_bytes", size_text),
)
_MEASURES: tuple[tuple[str, Callable[[PassCost], str]], ...] = (
    ("outputs moved by", lambda cost: _number(cost.error, ".1e")),
    ("since the source", lambda cost: _number(cost.error_to_source, ".1e")),
    ("accuracy", lambda cost: _number(cost.accuracy, ".4f")),
    ("median ms", lambda cost: _number(cost.median_ms, ".3f")),
    (
        "process's memory",
        lambda cost: "" if cost.peak_bytes is None else size_text(cost.peak_bytes),
    ),
)


def pass_table(findings: Findings) -> PassTable:
    """The table. Statistics that the compile did not collect are counted here."""
    costs = {cost.position: cost for cost in _costs(findings)}
    filled = [at for at, (_, text) in enumerate(_MEASURES) if any(map(text, costs.values()))]
    first, last = costs[SOURCE].statistics, costs[max(costs)].statistics
    return PassTable(
        columns=(*(title for title, _, _ in _SIZES), *(_MEASURES[at][0] for at in filled)),
        rows=tuple(_rows(findings, costs, filled)),
        size_columns=tuple(title for title, _, _ in _SIZES),
        source=_sizes(first, None),
        lowered=_sizes(last, first),
    )


def _rows(findings: Findings, costs: dict[int, PassCost], measures: Sequence[int]) -> list[PassRow]:
    records = findings.optimized.records
    total = sum(record.seconds for record in records) or 1.0
    pairs = {step.position: at for at, step in enumerate(findings.steps)}
    rows, passed = [], 0.0
    for record in records:
        cost, before = costs[record.position], costs[record.position - 1]
        cells = (
            *_sizes(cost.statistics, before.statistics),
            *(Cell(_MEASURES[at][1](cost)) for at in measures),
        )
        rows.append(
            PassRow(
                number=record.position + 1,
                name=record.name,
                text=record.text,
                contract=str(record.contract),
                kind=record.contract.kind,
                pair=pairs.get(record.position),
                rewrites=len(record.rewrites),
                skips=tuple(f"{n} × {reason}" for reason, n in skip_counts(record).items()),
                seconds=seconds_text(record.seconds),
                start=round(passed / total * WIDTH, 2),
                # A bar that took no time is still to be seen.
                length=max(3.0, round(record.seconds / total * WIDTH, 2)),
                cells=cells if record.changed else (),
            )
        )
        passed += record.seconds
    return rows


def _costs(findings: Findings) -> list[PassCost]:
    """What the compile found out of each pass, with statistics."""
    costs_of_compile = findings.optimized.costs
    if costs_of_compile and costs_of_compile[0].statistics is not None:
        return costs_of_compile
    counted = {step.position: model_statistics(step.model) for step in findings.steps}
    held = counted[None]
    costs = [PassCost(SOURCE, "source", changed=False, statistics=held)]
    for record in findings.optimized.records:
        held = counted.get(record.position, held)
        error = _worst(findings.optimized.deltas.get(record.position, ()))
        costs.append(
            PassCost(record.position, record.text, record.changed, statistics=held, error=error)
        )
    return costs


def _worst(deltas: Sequence[OutputDelta]) -> float | None:
    return max((each.relative for each in deltas if each.mismatch is None), default=None)


def _sizes(found: Statistics | None, before: Statistics | None) -> tuple[Cell, ...]:
    return tuple(_size(found, before, name, text) for _, name, text in _SIZES)


def _size(
    found: Statistics | None, before: Statistics | None, name: str, text: Callable[[float], str]
) -> Cell:
    if found is None:
        return Cell()
    value = getattr(found, name)
    moved = 0 if before is None else value - getattr(before, name)
    sign = "+" if moved > 0 else "−"
    return Cell(text(value), f"{sign}{text(abs(moved))}" if moved else "")


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
