"""``passes.json``: what each pass rewrote and left alone, node by node, kept with the artefact."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lprc.core.errors import InvalidModelError

if TYPE_CHECKING:
    from lprc.core.passing.manager import PassRecord
    from lprc.core.passing.pass_base import Rewrite, Skip

SCHEMA = 1
FILE = "passes.json"


@dataclass(frozen=True)
class Event:
    """One thing that a pass did, or did not do.

    Attributes:
        pass_name: The pass.
        pass_text: The pass with its options.
        position: Its place in the pipeline, from 0.
        rewrote: Whether it rewrote the node; else it left it alone.
        node: The node's name at that time; empty for the graph as a whole.
        op_type: Its operator.
        origins: The source nodes that it came from.
        note: What became of it, or why it was left alone.
    """

    pass_name: str
    pass_text: str
    position: int
    rewrote: bool
    node: str
    op_type: str
    origins: tuple[str, ...]
    note: str

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "pass": self.pass_text,
            "position": self.position,
            "what": "rewrote" if self.rewrote else "left alone",
            "node": self.node,
            "operator": self.op_type,
            "origins": list(self.origins),
            "note": self.note,
        }


def write_log(records: Sequence[PassRecord], folder: Path) -> None:
    """Write it into an artefact's folder. Without times, so the same build gives the same bytes."""
    lines = []
    for record in records:
        head = json.dumps({"pass": record.text, "name": record.name}, ensure_ascii=False)[:-1]
        rewrites = _rows(_row(rewrite, rewrite.note) for rewrite in record.rewrites)
        skips = _rows(_row(skip, skip.reason) for skip in record.skips)
        lines.append(f'{head}, "rewrites": {rewrites}, "skips": {skips}}}')
    text = ",\n".join(lines)
    document = f'{{"schema": {SCHEMA}, "passes": [\n{text}\n]}}\n'
    (folder / FILE).write_text(document, encoding="utf-8")


def _rows(rows: Iterable[dict[str, Any]]) -> str:
    """A JSON list with a line for each row."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    return "[" + ",".join(f"\n  {line}" for line in lines) + "]"


def _row(entry: Rewrite | Skip, note: str) -> dict[str, Any]:
    return {
        "node": entry.node,
        "operator": entry.op_type,
        "origins": list(entry.origins),
        "note": note,
    }


def read_log(folder: Path) -> list[Event] | None:
    """What an artefact's passes did, in order; None where the artefact has no log.

    Raises:
        InvalidModelError: The log can't be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    from lprc.compiler.artifact.pass_log_schema import Log
    from lprc.core.files.checked import checked_json

    log = checked_json(Log, path, error=InvalidModelError)
    return [
        Event(
            entry.name, entry.text, position, rows is entry.rewrites,
            row.node, row.operator, tuple(row.origins), row.note,
        )
        for position, entry in enumerate(log.passes)
        for rows in (entry.rewrites, entry.skips)
        for row in rows
    ]  # fmt: skip
