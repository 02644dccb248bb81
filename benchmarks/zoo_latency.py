"""Latency of lprc's artefacts beside the raw export's, NNCF's and quantize_static's, on the zoo.

    python benchmarks/zoo.py build                       # the networks
    python benchmarks/zoo_latency.py                     # what is not measured yet, then the page
    python benchmarks/zoo_latency.py --only yolo --columns ov-int8 --again

Artefacts, peers and results stay in ``ZOO/latency``; a cell that has a result is not measured
again. ``--again`` compiles and measures anew what is selected, peers excepted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from _zoo.forked import preload
from _zoo.results import Results
from _zoo_latency.bars import BARS, FAMILIES
from _zoo_latency.cell import Settings, measure_cell
from _zoo_latency.page import page

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Measure, write the page; 1 where a bar is missed."""
    arguments = _arguments()
    results = Results(arguments.json or arguments.zoo / "latency" / "results.jsonl")
    settings = Settings(
        arguments.zoo, arguments.threads, arguments.seconds, arguments.repeats, arguments.again
    )
    preload()
    for column in arguments.columns:
        bar = BARS[column]
        for network in (name for family in FAMILIES.values() for name in family):
            if arguments.only not in network:
                continue
            if results.has(network, column) and not _again(arguments):
                continue
            if arguments.missed and not _misses(results.cell(network, column)):
                continue
            cell = measure_cell(network, bar, settings)
            results.add(cell)
            ratios = cell.get("ratios", [])
            missed = "MISSED" if ratios and cell["ratio"] > bar.most else ""
            told = cell.get("problem") or " ".join(f"{ratio:.3f}" for ratio in ratios)
            milliseconds = f"{cell.get('ours_ms', 0):9.3f} ms"
            print(f"{column:9}{network:46}{milliseconds}  {told} {missed}", flush=True)
    if arguments.out is not None:
        arguments.out.write_text(page(results.cells()), encoding="utf-8")
    return int(any(_misses(cell) for cell in results.cells()))


def _again(arguments: argparse.Namespace) -> bool:
    return bool(arguments.again or arguments.remeasure or arguments.missed)


def _misses(cell: dict[str, object]) -> bool:
    ratio = cell.get("ratio")
    return isinstance(ratio, float) and ratio > BARS[str(cell["column"])].most


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zoo", type=Path, default=ROOT / "build" / "zoo", help="of zoo.py")
    parser.add_argument("--json", type=Path, help="JSON lines; ZOO/latency/results.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "zoo-latency.md")
    parser.add_argument("--only", default="", metavar="NAME", help="networks whose name has this")
    parser.add_argument("--columns", default=",".join(BARS), help="some of them, by commas")
    parser.add_argument("--threads", type=int, default=2, help="1: processor time, if others work")
    parser.add_argument("--seconds", type=float, default=3.0, help="of turns a measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of what misses")
    parser.add_argument("--again", action="store_true", help="compile and measure anew")
    parser.add_argument("--remeasure", action="store_true", help="measure the artefacts there anew")
    parser.add_argument("--missed", action="store_true", help="of those, what misses its bar")
    arguments = parser.parse_args()
    arguments.columns = arguments.columns.split(",")
    unknown = set(arguments.columns) - set(BARS)
    if unknown:
        parser.error(f"no column {', '.join(sorted(unknown))}; there are {', '.join(BARS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
