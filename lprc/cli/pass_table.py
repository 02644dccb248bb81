"""What passes did, as a table or as JSON."""

from __future__ import annotations

from typing import Any

from lprc.cli import console
from lprc.compiler.manifest import passes_document, skip_counts
from lprc.compiler.optimize import Optimized
from lprc.core.manager import PassRecord


def records_document(optimized: Optimized) -> dict[str, Any]:
    """The pipeline and what each pass did, with times, as JSON data."""
    passes = passes_document(optimized)
    for entry, record in zip(passes, optimized.records, strict=True):
        entry["seconds"] = record.seconds
    return {
        "pipeline": optimized.pipeline,
        "passes": passes,
        "warnings": optimized.warnings,
    }


def print_records(optimized: Optimized, *, verbose: bool = False) -> None:
    """Print one line a pass; passes that changed nothing only when `verbose`."""
    rows = [
        _row(record, optimized)
        for record in optimized.records
        if verbose or record.changed or record.skips
    ]
    out = console.stdout()
    columns = ["pass", ">rewrites", ">ms", "outputs moved by", "left alone"]
    out.print(console.table(columns, rows))
    idle = len(optimized.records) - len(rows)
    if idle:
        out.print(f"{idle} of {len(optimized.records)} passes had nothing to do", style="dim")
    if verbose:
        _print_details(optimized)
    for warning in optimized.warnings:
        console.note(f"warning: {warning}")


def _row(record: PassRecord, optimized: Optimized) -> tuple[str, ...]:
    deltas = optimized.deltas.get(record.position, [])
    worst = max((delta.relative for delta in deltas), default=None)
    skips = "; ".join(f"{count} × {reason}" for reason, count in skip_counts(record).items())
    return (
        record.text,
        str(len(record.rewrites)),
        f"{record.seconds * 1e3:.1f}",
        "" if worst is None else f"{worst:.1e}",
        console.shorten(skips, 60),
    )


def _print_details(optimized: Optimized) -> None:
    rows: list[tuple[str, str, str]] = []
    for record in optimized.records:
        rows += [(record.name, each.node or "graph", each.note) for each in record.rewrites]
        rows += [
            (record.name, each.node or "graph", f"left alone: {each.reason}")
            for each in record.skips
        ]
    console.stdout().print(console.table(["pass", "node", "what became of it"], rows))
