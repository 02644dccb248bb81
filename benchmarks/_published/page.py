"""The page: a table of all rows, published figures beside ours, and how each is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from _published.cell import behind, commands_of
from _published.rows import BASELINES, ROWS, Row

HEADER = """# Published results beside ours

![accuracy against latency](results-latency.svg)

Three reports compressed the same LPRNet checkpoint, technique by technique. Here is each technique
beside what lprc makes of it, on a machine of ours.

- **Accuracy**: plates read right, in %. Theirs of 1,000 plates; ours of the {plates} in `val`,
  other ones, with Wilson's 95 % interval.
- **× eager**: time of one image over PyTorch eager's on the same machine, so that machines need
  not be the same. Ours is processor time of one thread: eager, the row and its peer take turns in
  one process, and the median of the quiet turns counts. Only ratios within a row can be compared;
  the milliseconds of two rows are of different minutes.
- **MB**: what is deployed.
- **peer**: what else does that on a CPU, and the time of ours over the peer's.
- **behind** marks what is worse than a report's figure or slower than the peer; accuracy is worse
  where the published figure lies above our interval.
"""

COLUMNS = (
    "technique (row)", "published by report: %, × eager, MB", "ours: %", "× eager", "MB", "ms",
    "peer", "× peer", "",
)  # fmt: skip


def page(cells: Mapping[str, Mapping[str, Any]], about: Mapping[str, str]) -> str:
    """The whole page as Markdown.

    Args:
        cells: What was measured, by row.
        about: The machine, versions and so on, by what they are called.
    """
    plates = max((cell.get("n", 0) for cell in cells.values()), default=0)
    lines = [HEADER.format(plates=plates), _table_line(COLUMNS), "|---" * len(COLUMNS) + "|"]
    lines += [_line(row, cells.get(row.name)) for row in ROWS]
    lines += ["", *_notes(), _made(cells, about), ""]
    lines += ["![accuracy against size](results-size.svg)", "", "## Each row alone", ""]
    lines += ["`python benchmarks/published.py --rows NAME --again` makes a row anew, with these:"]
    lines += ["", "<!-- example: skip (needs the real plates) -->", "```sh"]
    for row in ROWS:
        lines += [f"# {row.name}", *commands_of(row)] if row.commands else []
    lines += ["```", ""]
    return "\n".join(lines)


def _notes() -> list[str]:
    rows = [row for row in ROWS if row.note]
    return ["## Notes", "", *(f"- **{row.name}**: {row.note}" for row in rows), ""] if rows else []


def _made(cells: Mapping[str, Mapping[str, Any]], about: Mapping[str, str]) -> str:
    """On what, when, and how long it took."""
    minutes = sum(cell.get("seconds", 0) for cell in cells.values()) / 60
    dates = sorted({cell["date"] for cell in cells.values() if "date" in cell})
    facts = {**about, "date": " to ".join(dict.fromkeys([*dates[:1], *dates[-1:]]))}
    listed = "; ".join(f"{key}: {value}" for key, value in facts.items())
    return (
        f"`python benchmarks/published.py` made this page; the {len(cells)} rows that ran took "
        f"{minutes:.0f} minutes in all. {listed}."
    )


def _line(row: Row, cell: Mapping[str, Any] | None) -> str:
    said = "<br>".join(_published(row, report) for report in row.published)
    peer = row.peer[0] if row.peer is not None else ""
    name = f"{row.technique} (`{row.name}`)"
    if row.elsewhere:
        return _table_line([name, said, *[""] * 6, f"not run here: `{row.elsewhere}`"])
    if cell is None or "problem" in cell:
        what = "not run" if cell is None else f"failed: {cell['problem'][:200]}"
        return _table_line([name, said, *[""] * 4, peer, "", what])
    worse = behind(row, dict(cell))
    return _table_line(
        [
            name,
            said,
            _accuracy(cell),
            f"{cell['to_eager']:.4f}",
            f"{cell['bytes'] / 1e6:.3f}" if "bytes" in cell else "",
            f"{cell['ms']:.2f}",
            peer,
            f"{cell['to_peer']:.3g}" if "to_peer" in cell else "",
            f"**behind**: {', '.join(worse)}" if worse else "",
        ]
    )


def _table_line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _published(row: Row, report: int) -> str:
    accuracy, milliseconds, size = row.published[report]
    ratio = milliseconds / BASELINES[report][1]
    stored = "" if size is None else f", {size:g}"
    return f"{report}: {accuracy:g}, {ratio:.3f}{stored}"


def _accuracy(cell: Mapping[str, Any]) -> str:
    if "accuracy" not in cell:
        return ""
    low, high = (100 * bound for bound in cell["interval"])
    return f"{100 * cell['accuracy']:.2f} ({low:.1f} to {high:.1f})"


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
