"""docs/zoo-latency.md: each bar in one line, then every cell."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from _zoo.table import markdown_table, without_paths

from _zoo_latency.bars import BARS, FAMILIES, Bar

Cell = dict[str, Any]

INTRODUCTION = """# Latency on the zoo

<!-- example: skip (needs the networks of benchmarks/zoo.py) -->
```console
$ python benchmarks/zoo.py build
$ python benchmarks/zoo_latency.py
```

Networks of the [zoo](zoo.md), one or more of each kind, with batch 1. An artefact and its peer run
in one process, in short turns (A B, B A, A B, …), on the same input; a cell is the median ratio,
over the quietest quarter of the turns, of the artefact's latency to the peer's: below 1 the
artefact is faster. {threads}
A cell that misses its bar is measured twice more in new processes, and the median of the three
stands; where others use the machine a few percent are noise. `quantize_static` writes U8S8 Q/DQ,
per channel, behind `quant_pre_process`; NNCF has its preset `performance`. Both are calibrated on
the same 16 samples as lprc.
"""


def page(cells: Iterable[Cell]) -> str:
    """The whole page as Markdown."""
    rows: dict[str, dict[str, Cell]] = defaultdict(dict)
    threads = set()
    for cell in cells:
        rows[cell["network"]][cell["column"]] = cell
        threads.add(cell["threads"])
    sections = [
        INTRODUCTION.format(threads=_threads(threads)),
        "## The bars\n\n" + summary(rows),
        "## Every cell\n\n" + _every_cell(rows),
        "## Not measured\n\n" + _problems(rows),
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _threads(counts: set[int]) -> str:
    alone = "Each has one thread, and what is compared is processor time: others used the machine."
    return " ".join(
        alone if count == 1 else f"Each has {count} threads." for count in sorted(counts)
    )


def summary(rows: dict[str, dict[str, Cell]]) -> str:
    """A line a bar: networks, how many keep it, the median and the worst."""
    lines = []
    for bar in BARS.values():
        ratios = {
            network: row[bar.target]["ratio"]
            for network, row in rows.items()
            if "ratio" in row.get(bar.target, {})
        }
        if not ratios:
            continue
        kept = sum(ratio <= bar.most for ratio in ratios.values())
        worst = max(ratios, key=ratios.__getitem__)
        lines.append([
            f"`{bar.target}`", bar.peer, f"≤ {bar.most}", len(ratios), kept,
            f"{statistics.median(ratios.values()):.2f}", f"{ratios[worst]:.2f}", worst,
        ])  # fmt: skip
    headings = ["artefact", "peer", "bar", "networks", "keep it", "median", "worst", "on"]
    return markdown_table(headings, lines)


def _every_cell(rows: dict[str, dict[str, Cell]]) -> str:
    lines = []
    for family, networks in FAMILIES.items():
        for network in networks:
            if network not in rows:
                continue
            shown = [_shown(rows[network].get(bar.target), bar) for bar in BARS.values()]
            lines.append([network, family, *shown])
    told = "Ratio, and the artefact's latency in milliseconds; bold where the bar is missed."
    return f"{told}\n\n" + markdown_table(["network", "kind", *BARS], lines)


def _shown(cell: Cell | None, bar: Bar) -> str:
    if cell is None:
        return ""
    if "ratio" not in cell:
        return "–"
    ratio = f"{cell['ratio']:.2f}"
    if cell["ratio"] > bar.most:
        ratio = f"**{cell['ratio']:.3f}**" if ratio == f"{bar.most:.2f}" else f"**{ratio}**"
    return f"{ratio} · {cell['ours_ms']:.3g}"


def _problems(rows: dict[str, dict[str, Cell]]) -> str:
    told = [
        f"- {network} × {column}: {without_paths(cell['problem'])}"
        for network, row in sorted(rows.items())
        for column, cell in row.items()
        if "problem" in cell
    ]
    return "\n".join(told) or "Nothing."
