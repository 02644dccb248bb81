"""The page: a table of all rows, published figures beside ours, and how each is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from _published.cell import behind, commands_of
from _published.rows import BASELINES, ROWS, Row

HEADER = """# Published results beside ours

`python benchmarks/published.py` makes this page, row by row. Published figures come from three
reports on the same network and checkpoint (1,000 other plates, another machine), so compare
accuracy, size, and latency as a *ratio to PyTorch eager* on the same machine; `published` gives
each report's ratio the same way. Ours: plates right on `val` with Wilson's 95 % interval; the size
of what is deployed; processor time of one thread, all contestants of a row in turns in one process,
the median of the quiet turns. **behind** marks what is worse than a report's or the peer's: in
accuracy where the published figure lies above our interval.
"""


def page(cells: Mapping[str, Mapping[str, Any]], about: Mapping[str, str]) -> str:
    """The whole page as Markdown.

    Args:
        cells: What was measured, by row.
        about: The machine, versions and so on, by what they are called.
    """
    lines = [HEADER, "; ".join(f"{key}: {value}" for key, value in about.items()) + ".", ""]
    lines += [
        "| technique | published: accuracy, ratio, MB | ours: accuracy | MB | ms | × eager "
        "| peer | × peer | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row, cells.get(row.name)) for row in ROWS]
    lines += ["", "![accuracy against latency](results-latency.svg)", ""]
    lines += ["![accuracy against size](results-size.svg)", "", "## Each row alone", ""]
    lines += ["<!-- example: skip (needs the real plates) -->", "```sh"]
    for row in ROWS:
        for command in commands_of(row):
            lines.append(command)
    lines += ["```", ""]
    return "\n".join(lines)


def _line(row: Row, cell: Mapping[str, Any] | None) -> str:
    said = "<br>".join(_published(row, report) for report in row.published)
    peer = row.peer[0] if row.peer is not None else ""
    if row.elsewhere:
        return f"| {row.technique} | {said} | | | | | | | not run here: `{row.elsewhere}` |"
    if cell is None:
        return f"| {row.technique} | {said} | | | | | {peer} | | not run |"
    if "problem" in cell:
        return f"| {row.technique} | {said} | | | | | {peer} | | failed: {cell['problem'][:200]} |"
    values = [
        _accuracy(cell),
        f"{cell['bytes'] / 1e6:.3f}" if "bytes" in cell else "",
        f"{cell['ms']:.3f}",
        f"{cell['to_eager']:.4f}",
        peer,
        f"{cell['to_peer']:.2f}" if "to_peer" in cell else "",
    ]
    worse = behind(row, dict(cell))
    mark = f"**behind**: {', '.join(worse)}" if worse else ""
    return f"| {row.technique} | {said} | {' | '.join(values)} | {mark} |"


def _published(row: Row, report: int) -> str:
    accuracy, milliseconds, size = row.published[report]
    ratio = milliseconds / BASELINES[report][1]
    stored = "" if size is None else f", {size:g}"
    return f"{report}: {accuracy:g} %, {ratio:.3f}{stored}"


def _accuracy(cell: Mapping[str, Any]) -> str:
    if "accuracy" not in cell:
        return ""
    low, high = cell["interval"]
    return f"{cell['accuracy']:.4f} ({low:.3f} to {high:.3f}, n={cell['n']})"


def points(cells: Mapping[str, Mapping[str, Any]], key: str) -> Sequence[tuple[str, float, float]]:
    """Name, latency ratio or MB, and accuracy in % of the rows that were measured."""
    return [
        (row.name, value, 100 * cell["accuracy"])
        for row in ROWS
        for cell in [cells.get(row.name, {})]
        for value in [cell["bytes"] / 1e6 if key == "size" and "bytes" in cell else cell.get(key)]
        if value is not None and "accuracy" in cell
    ]


def published_points(key: str) -> Sequence[tuple[str, float, float]]:
    """The same of what was published."""
    found = []
    for row in ROWS:
        for report, (accuracy, milliseconds, size) in row.published.items():
            value = size if key == "size" else milliseconds / BASELINES[report][1]
            if value is not None:
                found.append((f"{row.name} ({report})", value, accuracy))
    return found
