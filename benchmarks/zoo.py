"""Every network of a zoo through every target: what is made, refused or wrong, beside its peers.

    python benchmarks/zoo.py build                 # export what is missing, unpack wheels
    python benchmarks/zoo.py run --only yolo --columns onnx,ov-int8
    python benchmarks/zoo.py table                 # docs/zoo.md from what was run
    python benchmarks/zoo.py all

Networks of torchvision and timm are exported where these are installed (``pip install
'lprc[zoo]'``, in an environment of its own where torch's release is pinned); files out of wheels
are taken from ``--wheels`` (the head of ``_zoo/wheels.py`` says how they come there). Nothing is
downloaded. Everything goes on where it was left: a network that is there is not exported again, and
a cell whose result is written is not run again.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from pathlib import Path

from _zoo.build import build
from _zoo.cell import run_cell
from _zoo.columns import COLUMNS
from _zoo.forked import preload
from _zoo.results import Results
from _zoo.table import page

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Build, run, write; 1 where a cell is internal or wrong."""
    arguments = _arguments()
    if arguments.what in ("build", "all"):
        for line in build(arguments.zoo / "models", arguments.wheels or arguments.zoo / "wheels"):
            print(line, flush=True)
    results = Results(arguments.results or arguments.zoo / "results.jsonl")
    if arguments.what in ("run", "all"):
        _run(arguments, results)
    if arguments.what in ("table", "all"):
        arguments.out.write_text(page(results.cells()), encoding="utf-8")
    bad = [cell for cell in results.cells() if cell["status"] in ("internal", "wrong")]
    return 1 if any(COLUMNS[cell["column"]].ours for cell in bad) else 0


def _run(arguments: argparse.Namespace, results: Results) -> None:
    """Column by column, small networks first, so that most cells are there early."""
    models = sorted(
        (arguments.zoo / "models").glob("*.onnx"), key=lambda path: (path.stat().st_size, path.name)
    )
    left_out = arguments.skip.read_text(encoding="utf-8").split() if arguments.skip else []
    models = [model for model in models if model.stem not in left_out]
    preload()
    for name in arguments.columns:
        for model in models:
            if not fnmatch.fnmatch(model.stem, f"*{arguments.only}*"):
                continue
            if results.has(model.stem, name) and not arguments.again:
                continue
            cell = run_cell(model, COLUMNS[name], arguments.zoo / "samples", arguments.limit)
            results.add(cell)
            told = cell.get("message") or f"{cell.get('snr_db', '')} dB"
            outcome = f"{cell['status']:9}{cell['seconds']:7.1f} s  {told}"
            print(f"{name:16}{model.stem:44}{outcome}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("build", "run", "table", "all"))
    parser.add_argument(
        "--zoo", type=Path, default=ROOT / "build" / "zoo", help="networks, results"
    )
    parser.add_argument("--wheels", type=Path, help="a folder of wheels; ZOO/wheels")
    parser.add_argument("--results", type=Path, help="JSON lines; ZOO/results.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "zoo.md", help="the table")
    parser.add_argument("--only", default="", metavar="PATTERN", help="networks named like this")
    parser.add_argument("--columns", default=",".join(COLUMNS), help="some of them, by commas")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds that a cell may take")
    parser.add_argument("--skip", type=Path, help="a file of networks to leave out, one a line")
    parser.add_argument("--again", action="store_true", help="run cells that have a result")
    arguments = parser.parse_args()
    arguments.columns = arguments.columns.split(",")
    unknown = set(arguments.columns) - set(COLUMNS)
    if unknown:
        parser.error(f"no column {', '.join(sorted(unknown))}; there are {', '.join(COLUMNS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
