"""Contestants measured in turns on one thread, in a process of their own; prints JSON.

python benchmarks/_published/latency.py SETTINGS.json

What is measured is the processor time of the process, which other programs hardly change.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from _zoo_latency.turns import (
    BLOCK_SECONDS,
    SETTLING_RUNS,
    WARMING_RUNS,
    block_seconds,
    quiet_turns,
)

from _published.contestants import bound

LEAST_TURNS, MOST_TURNS = 8, 400


def main() -> None:
    """Print medians in milliseconds, and the medians of ratios to the first in quiet turns."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sample = dict(np.load(settings["sample"]))
    weights, model = Path(settings["weights"]), Path(settings["model"])
    runs = [bound(name, sample, weights, model) for name in settings["contestants"]]
    clock, counts = time.process_time, []
    for run in runs:
        block_seconds(run, WARMING_RUNS, clock)
        counts.append(max(1, round(BLOCK_SECONDS / max(block_seconds(run, 3, clock), 1e-6))))
    turns: list[tuple[float, ...]] = []
    end = time.perf_counter() + settings["seconds"]
    while len(turns) < LEAST_TURNS or (time.perf_counter() < end and len(turns) < MOST_TURNS):
        taken = [0.0] * len(runs)
        # Who begins changes, so that what drifts is none's gain.
        for index in sorted(range(len(runs)), reverse=bool(len(turns) % 2)):
            block_seconds(runs[index], SETTLING_RUNS if counts[index] > 1 else 0, clock)
            taken[index] = block_seconds(runs[index], counts[index], clock)
        turns.append(tuple(taken))
    quiet = quiet_turns(turns)
    columns = list(zip(*quiet, strict=True))
    print(
        json.dumps(
            {
                "ms": [1e3 * statistics.median(column) for column in columns],
                "to_first": [
                    statistics.median(
                        mine / first for mine, first in zip(column, columns[0], strict=True)
                    )
                    for column in columns
                ],
                "turns": len(turns),
            }
        )
    )


if __name__ == "__main__":
    main()
