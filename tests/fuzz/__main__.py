"""`python -m tests.fuzz --minutes 30`: exact passes on random graphs, crash files for what fails.

Each part of the seeds runs in a child: ONNX Runtime and ONNX's shape inference end the process on
some graphs. Exit code 1 says that a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from . import children
from .campaign import Count, exact_passes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--graphs", type=int, help="how many graphs at most")
    parser.add_argument("--first", type=int, help="the first seed (default: from the clock)")
    parser.add_argument("--passes", help="pipeline texts, separated by ';' (default: all exact)")
    parser.add_argument("--crashes", type=Path, default=Path("build/fuzz"), help="where they go")
    given = parser.parse_args()
    first = int(time.time()) * 1000 if given.first is None else given.first
    last = first + (given.graphs or 10**9)
    passes = given.passes.split(";") if given.passes else exact_passes()
    count, until = Count(), time.monotonic() + 60 * given.minutes
    try:
        children.run_all(range(first, last), passes, given.crashes, until, count)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    print(f"seeds from {first}\n{count.table()}\nbroken promises: {count.wrong}")
    return 1 if count.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
