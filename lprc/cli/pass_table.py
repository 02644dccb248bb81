"""What passes did, as a table or as JSON."""

from __future__ import annotations

from typing import Any

from lprc.cli import console
from lprc.compiler.artifact.manifest import passes_document, skip_counts
from lprc.compiler.compile.optimize import Optimized
from lprc.core.passing.manager import PassRecord
from lprc.core.running.numerics import OutputDelta


def records_document(optimized: Optimized) -> dict[str, Any]:
    """The pipeline and what each pass did, with times, as JSON data."""
    passes = passes_document(optimized.records, optimized.deltas)
    for entry, record in zip(passes, optimized.records, strict=True):
        entry["seconds"] = record.seconds
    return {
        "pipeline": optimized.pipeline,
        "passes": passes,
        "costs": [row.document() for row in optimized.costs],
        "agreement": optimized.agreement,
        "warnings": optimized.warnings,
    }


def agreement_text(optimized: Optimized) -> str:
    """How far outputs agree with the source's, to be added to a summary; empty where not known."""
    if optimized.agreement is None:
        return ""
    return f"; agreement with the source {optimized.agreement:.4f}"


def print_records(optimized: Optimized, *, verbose: bool = False) -> None:
    """Print one line a pass; passes that changed nothing only when `verbose`."""
    shown = [record for record in optimized.records if verbose or record.changed or record.skips]
    columns = ["pass", ">rewrites", ">ms", "left alone"]
    rows = [_row(record) for record in shown]
    if optimized.verify == "each":
        columns.insert(3, ">outputs moved by")
        for record, row in zip(shown, rows, strict=True):
            row.insert(3, _moved(optimized.deltas.get(record.position, [])))
    out = console.stdout()
    out.print(console.table(columns, rows))
    idle = len(optimized.records) - len(shown)
    if idle:
        out.print(f"{idle} of {len(optimized.records)} passes had nothing to do", style="dim")
    if optimized.verify == "final" and optimized.deltas:
        out.print(_verdict(optimized))
    if verbose:
        _print_details(optimized)
    for warning in optimized.warnings:
        console.note(f"warning: {warning}")


def _row(record: PassRecord) -> list[str]:
    skips = "; ".join(f"{count} × {reason}" for reason, count in skip_counts(record).items())
    return [
        record.text,
        str(len(record.rewrites)),
        f"{record.seconds * 1e3:.1f}",
        console.shorten(skips, 60),
    ]


def _verdict(optimized: Optimized) -> str:
    """How far outputs moved, apart for passes that promise outputs and for those that do not."""
    lossy = {record.position for record in optimized.records if record.contract.kind == "lossy"}
    parts = []
    for what, positions in (
        ("verified: outputs moved by", set(optimized.deltas) - lossy),
        ("lossy passes moved them by", set(optimized.deltas) & lossy),
    ):
        moved = _moved(
            [delta for position in sorted(positions) for delta in optimized.deltas[position]]
        )
        if moved:
            parts.append(f"{what} {moved} of their magnitude")
    return "; ".join(parts)


def _moved(deltas: list[OutputDelta]) -> str:
    worst = max((delta.relative for delta in deltas), default=None)
    return "" if worst is None else f"{worst:.1e}"


def _print_details(optimized: Optimized) -> None:
    rows: list[tuple[str, str, str]] = []
    for record in optimized.records:
        rows += [(record.name, each.node or "graph", each.note) for each in record.rewrites]
        rows += [
            (record.name, each.node or "graph", f"left alone: {each.reason}")
            for each in record.skips
        ]
    console.stdout().print(console.table(["pass", "node", "what became of it"], rows))
